// Servers of Debian's and of our own (scripts/fetch-servers, tests/healthy), each with its own configuration,
// data and Unix socket in a directory of the test's; nothing of the machine's own servers is touched.
//
// Used by the thread that starts them. What does not start ends the test by an exception.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/lib/daemon.h"
#include "tests/lib/load.h"
#include "tests/lib/subprocess.h"

namespace loiter::test {

struct Server {
  std::string name;
  std::unique_ptr<Subprocess> process;
  int end_signal = 0;  // that ends it with its children
  std::optional<Endpoint> endpoint = {};
  Exchange exchange = {};
  size_t clients = 8;  // that it serves at once
};

class Servers {
 public:
  // Starts them, and waits until they serve.
  explicit Servers(bool all);
  // Ends them, and what is left of their children.
  ~Servers();
  Servers(const Servers&) = delete;
  Servers& operator=(const Servers&) = delete;

  const std::deque<Server>& all() const { return servers_; }
  const Server& at(const std::string& name) const;

  // One more load, by the server's own tools, which end by themselves.
  std::vector<std::unique_ptr<Subprocess>> start_benchmarks() const;

  // Of the browser, besides the one that it begins with.
  void open_pages(size_t count) const;
  void close_pages() const;

 private:
  Server& add(const std::string& name, const std::vector<std::string>& argv, int end_signal,
              const SpawnOptions& options = {});
  void await_all();
  std::vector<std::string> pgbench(const std::vector<std::string>& more) const;
  void start_web_and_stores();
  void start_postgres();
  void start_own();
  void start_daemons();
  void start_large();

  // In memory: a disk that takes seconds to write is a finding, and the machine's own.
  TempDir dir_{"/dev/shm"};
  TempDir nobodys_{"/dev/shm"};
  std::deque<Server> servers_;
};

}  // namespace loiter::test
