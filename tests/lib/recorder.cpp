#include "tests/lib/recorder.h"

#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/lib/await.h"

namespace loiter::test {

using nlohmann::json;

namespace {

json value_or_null(const std::optional<uint64_t>& value) {
  return value ? json(*value) : json();
}

}  // namespace

void Recorder::record(const std::set<uint32_t>& pids) {
  if (!await("one census has them all", [&] { return try_record(pids); }))
    throw std::runtime_error("censuses come faster than they can be asked for");
}

bool Recorder::try_record(const std::set<uint32_t>& pids) {
  json processes = json::array();
  uint64_t as_of_ns = 0;
  for (const uint32_t pid : pids) {
    const HttpResponse response = daemon_.request("/v1/processes/" + std::to_string(pid) + "?origins=1");
    if (response.status == 404) continue;
    const json document = json::parse(response.body);
    const uint64_t this_ns = document.at("as_of_boottime_ns");
    if (this_ns == as_of_ns_ || (as_of_ns && this_ns != as_of_ns)) return false;
    as_of_ns = this_ns;
    json row = process_row(document);
    const std::optional<json> unjoined = unjoined_row(pid, as_of_ns);
    if (!unjoined) return false;
    row["unjoined"] = *unjoined;
    row["limits"] = limits_row(document.at("process"));
    processes.push_back(std::move(row));
  }
  if (processes.empty()) throw std::runtime_error("nothing to record");
  snapshots_.push_back({{"mono_ns", as_of_ns}, {"host", host_row()}, {"processes", processes}});
  as_of_ns_ = as_of_ns;
  return true;
}

json Recorder::process_row(const json& document) {
  const json& process = document.at("process");
  json threads = json::array();
  for (const json& thread : document.at("threads")) threads.push_back(thread_row(thread));
  return {{"pid", process.at("pid")},
          {"parent_pid", process.at("parent_pid")},
          {"start", process.at("start_boottime_ns")},
          {"uid", process.at("uid")},
          {"comm", alias('n', process.at("comm"))},
          {"cgroup", alias_of_path(process.at("cgroup"))},
          {"threads", threads}};
}

json Recorder::thread_row(const json& thread) {
  json site = nullptr;
  if (thread.contains("created_by") && thread["created_by"].is_object())
    site = thread["created_by"].value("site", json(nullptr));
  return json::array({thread.at("tid"), thread.at("born_boottime_ns"), thread.at("state"),
                      thread.at("blocked_ns"), thread.at("syscall"), thread.at("voluntary_switches"),
                      thread.at("involuntary_switches"), thread.at("cpu_ns"), thread.at("cpu"), site,
                      wait_row(thread.at("wait"))});
}

json Recorder::wait_row(const json& wait) {
  if (wait.is_null()) return nullptr;
  json peers = json::array();
  for (const json& peer : wait.at("peers")) peers.push_back(peer.at("pid"));
  return json::array({wait.at("kind"), alias('o', wait.at("object")), wait.at("holder_state"),
                      wait.at("holder_tid"), wait.at("holder_pid"), wait.at("bounded"), peers});
}

// Who looks at the lists of threads does so anew for each: rows by when they ended.
std::optional<json> Recorder::unjoined_row(uint32_t pid, uint64_t as_of_ns) const {
  const HttpResponse response = daemon_.request("/v1/processes/" + std::to_string(pid) + "/unjoined");
  if (response.status != 200) return json();
  const json document = json::parse(response.body);
  if (document.at("as_of_boottime_ns") != as_of_ns) return std::nullopt;
  if (document.at("unjoined").is_null()) return json();
  json threads = json::array();
  for (const json& thread : document.at("threads"))
    threads.push_back(json::array({thread.at("tid"), thread.at("ended_boottime_ns")}));
  return json{{"joining", document.at("joining")}, {"threads", threads}};
}

json Recorder::limits_row(const json& process) {
  const auto limits = limits_.process(process.at("pid"), process.at("start_boottime_ns"));
  if (!limits) return nullptr;
  json pids = json::array(), cpu = nullptr;
  for (const PidsLimit& each : limits->pids)
    pids.push_back(json::array({alias_of_path(each.cgroup), each.current, each.max}));
  if (limits->cpu)
    cpu = json::array({alias_of_path(limits->cpu->cgroup), limits->cpu->periods,
                       limits->cpu->throttled_periods, limits->cpu->throttled_ns});
  return {{"pids", pids}, {"nproc", value_or_null(limits->nproc)}, {"cpu", cpu}};
}

json Recorder::host_row() const {
  const HostLimits host = limits_.host();
  return json::array(
      {value_or_null(host.threads), value_or_null(host.threads_max), value_or_null(host.pid_max)});
}

std::string Recorder::alias_of_path(const json& path) {
  if (!path.is_string()) return "";
  std::istringstream names(path.get<std::string>());
  std::string made;
  for (std::string name; std::getline(names, name, '/');)
    if (!name.empty()) made += '/' + alias('g', name);
  return made.empty() ? "/" : made;
}

std::string Recorder::alias(char prefix, const json& text) {
  if (!text.is_string()) return "";
  auto [entry, added] = aliases_.try_emplace(prefix + text.get<std::string>());
  if (added) entry->second = prefix + std::to_string(aliases_.size());
  return entry->second;
}

void Recorder::write(const std::string& path, uint64_t threshold_ns, const json& expected) const {
  std::ofstream file(path);
  file << "{\"threshold_ns\": " << threshold_ns << ", \"expected\": " << expected.dump()
       << ", \"snapshots\": [";
  for (size_t i = 0; i < snapshots_.size(); ++i) file << (i ? ",\n" : "\n") << snapshots_[i].dump();
  file << "]}\n";
  file.flush();
  if (!file) throw std::runtime_error("cannot write " + path);
}

}  // namespace loiter::test
