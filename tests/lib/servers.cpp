#include "tests/lib/servers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "tests/lib/await.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/unpacked.h"

namespace loiter::test {
namespace {

using Arguments = std::vector<std::string>;

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

// One that nobody has just now; who else takes it first makes the server end, and the test fail by name.
uint16_t free_port() {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size))
    throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

const Exchange kHttp{"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"};
const Exchange kLine{"work\n", "\n"};

}  // namespace

Servers::Servers(bool all) {
  if (chown(nobodys_.path().c_str(), kNobody, kNobody)) throw std::runtime_error("chown failed");
  start_web_and_stores();
  start_postgres();
  start_own();
  start_daemons();
  if (all) start_large();
  await_all();
  const RunResult filled = run(pgbench({"-i", "-s", "1", "-q"}));
  if (filled.status.code != 0) throw std::runtime_error("pgbench: " + filled.out + filled.err);
}

Servers::~Servers() {
  for (const Server& server : servers_)
    if (server.process->alive()) server.process->signal(SIGCONT), server.process->signal(server.end_signal);
  for (const Server& server : servers_) EXPECT_TRUE(server.process->wait()) << server.name << " does not end";
}

Server& Servers::add(const std::string& name, const Arguments& argv, int end_signal,
                     const SpawnOptions& options) {
  SpawnOptions captured = options;
  captured.stdout_to_memory = true;
  servers_.push_back({name, std::make_unique<Subprocess>(argv, captured), end_signal});
  return servers_.back();
}

const Server& Servers::at(const std::string& name) const {
  for (const Server& server : servers_)
    if (server.name == name) return server;
  throw std::runtime_error("no server " + name);
}

void Servers::await_all() {
  for (const Server& server : servers_) {
    const auto serves = await(server.name + " serves", [&] {
      if (!server.process->alive()) return true;
      return !server.endpoint || static_cast<bool>(connect_to(*server.endpoint));
    });
    if (!serves || !server.process->alive())
      throw std::runtime_error(server.name + " does not serve: " + server.process->stdout_text() +
                               server.process->stderr_text());
  }
}

void Servers::start_web_and_stores() {
  write_file(dir_.file("nginx.conf"),
             "user root;\nworker_processes 2;\ndaemon off;\npid " + dir_.file("nginx.pid") +
                 ";\nerror_log stderr;\nthread_pool default threads=8;\n"
                 "events {}\nhttp { access_log off; client_body_temp_path " +
                 dir_.file("b") + "; proxy_temp_path " + dir_.file("p") + "; fastcgi_temp_path " +
                 dir_.file("f") + "; uwsgi_temp_path " + dir_.file("u") + "; scgi_temp_path " +
                 dir_.file("s") + ";\n aio threads; server { listen unix:" + dir_.file("nginx") + "; root " +
                 dir_.path() + "; } }\n");
  write_file(dir_.file("index.html"), std::string(20'000, 'x'));
  Server& nginx = add("nginx",
                      with_libraries({program("sbin/nginx"), "-e", "stderr", "-p", dir_.path(), "-c",
                                      dir_.file("nginx.conf")}),
                      SIGTERM);
  nginx.endpoint = Endpoint{dir_.file("nginx")};
  nginx.exchange = kHttp;

  Server& redis =
      add("redis",
          with_libraries({program("bin/redis-server"), "--port", "0", "--unixsocket", dir_.file("redis"),
                          "--dir", dir_.path(), "--appendonly", "yes", "--io-threads", "2"}),
          SIGTERM);
  redis.endpoint = Endpoint{dir_.file("redis")};
  redis.exchange = {"INCR served\r\n", "\r\n"};

  for (const char* name : {"memcached", "memcached stopped"}) {
    const std::string socket = dir_.file(std::string("m") + name[9]);
    Server& memcached =
        add(name, with_libraries({program("bin/memcached"), "-u", "root", "-s", socket, "-t", "4"}), SIGTERM);
    memcached.endpoint = Endpoint{socket};
    memcached.exchange = {"set key 0 0 4\r\nwork\r\n", "\r\n"};
  }
}

void Servers::start_postgres() {
  const std::string data = nobodys_.file("data");
  const RunResult made =
      run(as_nobody({postgres_bin() + "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"}));
  if (made.status.code != 0) throw std::runtime_error("initdb: " + made.out + made.err);
  Server& postgres = add("postgres",
                         as_nobody({postgres_bin() + "postgres", "-D", data, "-k", nobodys_.path(), "-c",
                                    "listen_addresses=", "-c", "unix_socket_permissions=0777"}),
                         SIGINT);
  postgres.endpoint = Endpoint{nobodys_.file(".s.PGSQL.5432")};
  postgres.clients = 0;  // speaks to pgbench alone
}

std::vector<std::string> Servers::pgbench(const Arguments& more) const {
  Arguments argv = as_nobody({postgres_bin() + "pgbench", "-h", nobodys_.path(), "-U", "postgres"});
  argv.insert(argv.end(), more.begin(), more.end());
  argv.push_back("postgres");
  return argv;
}

void Servers::open_pages(size_t count) const {
  const Server& chromium = at("chromium");
  for (size_t i = 0; i < count; ++i)
    EXPECT_TRUE(ask(
        *chromium.endpoint,
        {"PUT /json/new?file://" + dir_.file("page.html") + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "}\n"}));
}

void Servers::close_pages() const {
  const Server& chromium = at("chromium");
  const auto pages = ask(*chromium.endpoint, {"GET /json/list HTTP/1.1\r\nHost: localhost\r\n\r\n", "]\n"});
  ASSERT_TRUE(pages);
  const auto list = nlohmann::json::parse(pages->substr(pages->find("\r\n\r\n")));
  bool one_stays = false;  // or the browser would end
  for (const auto& target : list) {
    if (target.at("type") != "page" || !std::exchange(one_stays, true)) continue;
    EXPECT_TRUE(ask(*chromium.endpoint, {"GET /json/close/" + target.at("id").get<std::string>() +
                                             " HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                         "closing"}));
  }
}

std::vector<std::unique_ptr<Subprocess>> Servers::start_benchmarks() const {
  std::vector<std::unique_ptr<Subprocess>> started;
  const SpawnOptions captured{.stdout_to_memory = true};
  started.push_back(std::make_unique<Subprocess>(pgbench({"-c", "8", "-j", "2", "-T", "3"}), captured));
  started.push_back(std::make_unique<Subprocess>(
      with_libraries({program("bin/redis-benchmark"), "-s", at("redis").endpoint->path, "-n", "5000", "-c",
                      "20", "--threads", "2", "-q", "-t", "set,get,lpush,lpop"}),
      captured));
  return started;
}

void Servers::start_own() {
  const std::string own = build_dir() + "/tests/healthy/";
  const auto serve = [&](const std::string& name, Arguments argv, const Exchange& exchange, size_t clients) {
    const std::string socket = dir_.file("own-" + name);
    argv.push_back(socket);
    Server& server = add(name, argv, SIGKILL);
    server.endpoint = Endpoint{socket};
    server.exchange = exchange;
    server.clients = clients;
  };
  serve("pools", {own + "pools"}, kLine, 32);
  serve("pools stopped", {own + "pools"}, kLine, 32);
  serve("pools frozen", {own + "pools"}, kLine, 32);
  serve("executor frozen", {"/usr/bin/python3", "-I", own + "executors.py", "threads"}, kLine, 12);
  serve("executor", {"/usr/bin/python3", "-I", own + "executors.py", "threads"}, kLine, 12);
  serve("asyncio", {"/usr/bin/python3", "-I", own + "executors.py", "asyncio"}, kLine, 24);
  serve("node", {"/usr/bin/node", own + "http_workers.js"}, kHttp, 12);
  Server& java = add("java", {"/usr/bin/java", own + "HttpPool.java"}, SIGTERM);
  java.exchange = kHttp;
  java.clients = 24;
  EXPECT_TRUE(await("java tells its port", [&] {
    const std::string text = java.process->stdout_text();
    if (text.find('\n') == std::string::npos) return !java.process->alive();
    java.endpoint = Endpoint{.path = {}, .port = static_cast<uint16_t>(std::stoi(text))};
    return true;
  })) << java.process->stderr_text();
}

void Servers::start_daemons() {
  write_file(dir_.file("dbus.conf"),
             "<busconfig><listen>unix:path=" + dir_.file("dbus") +
                 "</listen><auth>EXTERNAL</auth><policy context='default'><allow send_destination='*'/>"
                 "<allow eavesdrop='true'/><allow own='*'/></policy></busconfig>");
  add("dbus",
      with_libraries(
          {program("bin/dbus-daemon"), "--nofork", "--nopidfile", "--config-file=" + dir_.file("dbus.conf")}),
      SIGTERM)
      .endpoint = Endpoint{dir_.file("dbus")};
  write_file(dir_.file("rsyslog.conf"), "module(load=\"" + libraries() + "/rsyslog/imuxsock.so\")\n" +
                                            "input(type=\"imuxsock\" socket=\"" + dir_.file("log") + "\")\n" +
                                            "*.* " + dir_.file("messages") + "\n");
  add("rsyslogd",
      with_libraries({program("sbin/rsyslogd"), "-n", "-f", dir_.file("rsyslog.conf"), "-i",
                      dir_.file("rsyslog.pid"), "-M", libraries() + "/rsyslog"}),
      SIGTERM);
  add("dnsmasq",
      with_libraries({program("sbin/dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null",
                      "--pid-file=" + dir_.file("dnsmasq.pid"), "--port=" + std::to_string(free_port()),
                      "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts",
                      "--user=root"}),
      SIGTERM);
  // Without the machine's own tables, which it would run.
  add("cron",
      {"/usr/bin/unshare", "--mount", "--propagation=private", "/bin/sh", "-c",
       "mount -t tmpfs none /run && mount -t tmpfs none /var/spool && mkdir -p /var/spool/cron/crontabs && "
       "{ [ ! -e /etc/crontab ] || mount --bind /dev/null /etc/crontab; } && "
       "{ [ ! -d /etc/cron.d ] || mount -t tmpfs none /etc/cron.d; } && exec \"$0\" -f",
       program("sbin/cron")},
      SIGTERM);
}

void Servers::start_large() {
  write_file(dir_.file("page.html"),
             "<script>new Worker(URL.createObjectURL(new Blob(['setInterval(() => 0, 1000)'])));"
             "setInterval(() => document.title = Date.now(), 500)</script>");
  Server& chromium =
      add("chromium",
          with_libraries({program("lib/chromium/chromium"), "--no-sandbox", "--headless", "--disable-gpu",
                          "--user-data-dir=" + dir_.file("chromium"), "--remote-debugging-port=0",
                          "--no-first-run", "file://" + dir_.file("page.html")}),
          SIGTERM);
  const std::string port_file = dir_.file("chromium/DevToolsActivePort");
  EXPECT_TRUE(await("chromium tells its port", [&] {
    const std::string text = read_file(port_file);
    if (text.find('\n') == std::string::npos) return !chromium.process->alive();
    chromium.endpoint = Endpoint{.path = {}, .port = static_cast<uint16_t>(std::stoi(text))};
    return true;
  })) << chromium.process->stderr_text();
  chromium.exchange = {"GET /json/version HTTP/1.1\r\nHost: localhost\r\n\r\n", "}\n"};
  chromium.clients = 1;

  // The users of this machine and sshd's own, which it leaves its privileges to.
  write_file(dir_.file("passwd"),
             read_file("/etc/passwd") + "\nsshd:x:65534:65534::/run/sshd:/usr/sbin/nologin\n");
  const RunResult key = run({"/usr/bin/env", program("bin/ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f",
                             dir_.file("host_key")});
  if (key.status.code != 0) throw std::runtime_error("ssh-keygen: " + key.err);
  const uint16_t port = free_port();
  Server& sshd = add(
      "sshd",
      {"/usr/bin/unshare", "--mount", "--propagation=private", "/bin/sh", "-c",
       "mount -t tmpfs none /run && mkdir /run/sshd && mount --bind \"$1\" /etc/passwd && shift && "
       "exec env LD_LIBRARY_PATH=\"$0\" \"$@\"",
       libraries(), dir_.file("passwd"), program("sbin/sshd"), "-D", "-e", "-f", "/dev/null", "-h",
       dir_.file("host_key"), "-o", "ListenAddress=127.0.0.1:" + std::to_string(port), "-o", "PidFile=none"},
      SIGTERM);
  sshd.endpoint = Endpoint{.path = {}, .port = port};
  sshd.exchange = {"SSH-2.0-none\r\nnot ssh\r\n"};
  sshd.clients = 2;
}

}  // namespace loiter::test
