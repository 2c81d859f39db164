#include "daemon/history/finding_codec.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <type_traits>
#include <variant>

namespace loiter {
namespace {

using nlohmann::json;

// A finding holds 32 threads, 16 of them with stacks of no more than some hundred frames.
constexpr size_t kMostText = 4 << 20;
constexpr size_t kMostItems = 4096;

// The last value of each enumeration.
constexpr FindingKind last_of(FindingKind) {
  return FindingKind::overdue;
}
constexpr Severity last_of(Severity) {
  return Severity::critical;
}
constexpr Certainty last_of(Certainty) {
  return Certainty::proven;
}
constexpr Exactness last_of(Exactness) {
  return Exactness::unknown;
}
constexpr TaskState last_of(TaskState) {
  return TaskState::parked;
}
constexpr WaitKind last_of(WaitKind) {
  return WaitKind::other;
}
constexpr HolderState last_of(HolderState) {
  return HolderState::unknown;
}
constexpr Resolution last_of(Resolution) {
  return Resolution::host_restarted;
}

// --- what there is to be told of each type, once for both ways --------------------------------------

template <typename Way>
void fields(Way& way, TaskKey& key) {
  way("tid", key.tid);
  way("start", key.start_boot_ns);
}

template <typename Way>
void fields(Way& way, SiteFrame& frame) {
  way("symbol", frame.symbol);
  way("module", frame.module);
  way("offset", frame.offset);
  way("file", frame.file);
  way("line", frame.line);
  way("inlined", frame.inlined);
}

template <typename Way>
void fields(Way& way, SiteStack& stack) {
  way("frames", stack.frames);
  way("cut", stack.cut);
}

template <typename Way>
void fields(Way& way, Peer& peer) {
  way("pid", peer.pid);
  way("fd", peer.fd);
}

template <typename Way>
void fields(Way& way, Holder& holder) {
  way("state", holder.state);
  way("tid", holder.tid);
  way("pid", holder.pid);
}

template <typename Way>
void fields(Way& way, Wait& wait) {
  way("kind", wait.kind);
  way("object", wait.object);
  way("detail", wait.detail);
  way("private", wait.is_private);
  way("fd", wait.fd);
  way("holder", wait.holder);
  way("bounded", wait.bounded);
  way("timeout_left", wait.timeout_left_ns);
  way("timeout", wait.timeout_ns);
  way("peers", wait.peers);
  way("only_itself", wait.only_itself);
}

template <typename Way>
void fields(Way& way, FindingThread& thread) {
  way("pid", thread.pid);
  way("key", thread.key);
  way("name", thread.name);
  way("comm", thread.comm);
  way("state", thread.state);
  way("switches", thread.switches);
  way("syscall", thread.syscall);
  way("compat", thread.compat);
  way("blocked", thread.blocked_ns);
  way("blocked_max", thread.blocked_max_ns);
  way("exactness", thread.exactness);
  way("via", thread.via);
  way("wait", thread.wait);
  way("stack", thread.stack);
  way("cut", thread.cut);
  way("routine", thread.routine);
  way("callable", thread.callable);
  way("creator", thread.creator);
  way("site", thread.site);
}

template <typename Way>
void fields(Way& way, FindingProcess& process) {
  way("key", process.key);
  way("parent", process.parent_pid);
  way("uid", process.uid);
  way("kernel", process.kernel);
  way("comm", process.comm);
  way("exe", process.exe);
  way("cgroup", process.cgroup);
}

template <typename Way>
void fields(Way& way, Evidence& evidence) {
  way("name", evidence.name);
  way("value", evidence.value);
}

template <typename Way>
void fields(Way& way, Finding& finding) {
  way("id", finding.id);
  way("kind", finding.kind);
  way("severity", finding.severity);
  way("certainty", finding.certainty);
  way("process", finding.process);
  way("count", finding.count);
  way("threads", finding.threads);
  way("chain", finding.chain);
  way("since", finding.since_boot_ns);
  way("evidence", finding.evidence);
  way("summary", finding.summary);
  way("hint", finding.hint);
  way("rule_line", finding.rule_line);
  way("rule_reason", finding.rule_reason);
}

template <typename Way>
void fields(Way& way, KeptFinding& kept) {
  way("finding", kept.finding);
  way("first", kept.first_boot_ns);
  way("last", kept.last_boot_ns);
  way("resolved", kept.resolved_boot_ns);
  way("resolution", kept.resolution);
  way("told", kept.told_boot_ns);
  way("told_count", kept.told_count);
  way("unwatched", kept.unwatched);
}

template <typename Way>
void fields(Way& way, NamedThread& named) {
  way("pid", named.pid);
  way("tid", named.tid);
  way("name", named.name);
}

template <typename Way>
void fields(Way& way, EncodedFinding& encoded) {
  way("kept", encoded.kept);
  way("names", encoded.names);
}

// --- the two ways -----------------------------------------------------------------------------------

template <typename Value>
concept Scalar =
    std::is_same_v<Value, bool> || std::is_integral_v<Value> || std::is_same_v<Value, std::string>;

class Writing {
 public:
  template <typename Value>
  static json of(Value& value) {
    if constexpr (Scalar<Value>) {
      return value;
    } else if constexpr (std::is_enum_v<Value>) {
      return static_cast<unsigned>(value);
    } else {
      Writing writing;
      fields(writing, value);
      return std::move(writing.object_);
    }
  }
  template <typename Value>
  static json of(std::optional<Value>& value) {
    return value ? of(*value) : json(nullptr);
  }
  template <typename Value>
  static json of(std::vector<Value>& values) {
    json list = json::array();
    for (Value& value : values) list.push_back(of(value));
    return list;
  }
  static json of(SiteStackPtr& stack) {
    SiteStack copy;
    if (stack) copy = *stack;
    return stack ? of(copy) : json(nullptr);
  }
  static json of(EvidenceValue& value) {
    return std::visit([](const auto& item) { return json(item); }, value);
  }

  template <typename Value>
  void operator()(const char* key, Value& value) {
    object_[key] = of(value);
  }

 private:
  json object_ = json::object();
};

class Reading {
 public:
  explicit Reading(const json& object) : object_(object) {
    if (!object.is_object()) throw std::invalid_argument("no object");
  }

  template <typename Value>
  static void into(const json& from, Value& value) {
    if constexpr (std::is_same_v<Value, bool> || std::is_same_v<Value, std::string>) {
      from.get_to(value);
    } else if constexpr (std::is_integral_v<Value>) {
      value = whole<Value>(from);
    } else if constexpr (std::is_enum_v<Value>) {
      const auto number = whole<uint32_t>(from);
      if (number > static_cast<uint32_t>(last_of(Value{}))) throw std::out_of_range("no such value");
      value = static_cast<Value>(number);
    } else {
      Reading reading(from);
      fields(reading, value);
    }
  }
  template <typename Value>
  static void into(const json& from, std::optional<Value>& value) {
    if (!from.is_null()) into(from, value.emplace());
  }
  template <typename Value>
  static void into(const json& from, std::vector<Value>& values) {
    if (!from.is_array() || from.size() > kMostItems) throw std::out_of_range("no list, or a long one");
    for (const json& item : from) into(item, values.emplace_back());
  }
  static void into(const json& from, SiteStackPtr& stack) {
    if (from.is_null()) return;
    auto made = std::make_shared<SiteStack>();
    into(from, *made);
    stack = std::move(made);
  }
  static void into(const json& from, EvidenceValue& value) {
    if (from.is_number_float())
      value = from.get<double>();
    else if (from.is_number())
      value = whole<uint64_t>(from);
    else
      value = from.get<std::string>();
  }

  template <typename Value>
  void operator()(const char* key, Value& value) {
    if (auto found = object_.find(key); found != object_.end()) into(*found, value);
  }

 private:
  // nlohmann converts any number to any other in silence.
  template <typename Value>
  static Value whole(const json& from) {
    if (!from.is_number_integer()) throw std::invalid_argument("no whole number");
    if (from.is_number_unsigned()) {
      const auto wide = from.get<uint64_t>();
      if (wide > static_cast<uint64_t>(std::numeric_limits<Value>::max()))
        throw std::out_of_range("too large");
      return static_cast<Value>(wide);
    }
    const auto wide = from.get<int64_t>();
    if (std::is_unsigned_v<Value> || wide < static_cast<int64_t>(std::numeric_limits<Value>::min()))
      throw std::out_of_range("too small");
    return static_cast<Value>(wide);
  }

  const json& object_;
};

// --- compression ------------------------------------------------------------------------------------

// gzip's frame, for its CRC-32: a damaged byte in two thousand passed zlib's Adler-32 (history_codec_test).
constexpr int kGzip = 15 + 16;
// The fastest: the frames of stacks repeat, which any level finds.
constexpr int kLevel = 1;

std::string deflated(const std::string& text) {
  z_stream stream{};
  if (deflateInit2(&stream, kLevel, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) return "";
  std::string bytes(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(bytes.size());
  const int code = deflate(&stream, Z_FINISH);
  bytes.resize(code == Z_STREAM_END ? bytes.size() - stream.avail_out : 0);
  deflateEnd(&stream);
  return bytes;
}

// Empty: it is no such thing, or too large.
std::string inflated(std::string_view bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzip) != Z_OK) return "";
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(std::min<size_t>(bytes.size(), kMostText));
  std::string text;
  int code = Z_OK;
  while (code == Z_OK && text.size() < kMostText) {
    const size_t before = text.size();
    text.resize(before + 65536);
    stream.next_out = reinterpret_cast<Bytef*>(text.data() + before);
    stream.avail_out = 65536;
    code = inflate(&stream, Z_NO_FLUSH);
    text.resize(text.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  return code == Z_STREAM_END ? text : "";
}

// The lists of a finding that the rest relies upon.
bool is_sound(const KeptFinding& kept) {
  return !kept.finding.id.empty() && kept.finding.id.size() <= 200 &&
         kept.finding.chain <= kept.finding.threads.size();
}

}  // namespace

std::string encode_finding(const KeptFinding& kept, const std::vector<NamedThread>& names) {
  EncodedFinding all{kept, names};
  return deflated(Writing::of(all).dump(-1, ' ', false, json::error_handler_t::replace));
}

std::optional<EncodedFinding> decode_finding(std::string_view bytes) {
  try {
    const std::string text = inflated(bytes);
    if (text.empty()) return std::nullopt;
    EncodedFinding all;
    Reading::into(json::parse(text), all);
    if (!is_sound(all.kept)) return std::nullopt;
    return all;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace loiter
