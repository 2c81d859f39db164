#include "daemon/inspect/parser/parser.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace loiter {
namespace {

// The debug information of a browser, 4 GB of it, cold, takes a few seconds.
constexpr uint64_t kPatienceNs = 15'000'000'000;
constexpr size_t kMaxReply = 256 << 20;

}  // namespace

Result<std::string> Parser::call(const std::vector<std::byte>& request, int fd) {
  if (!child_) {
    auto started = HelperProcess::start("parser", memory_.read_only_fd(), cancel_);
    if (!started) return started.error();
    child_.emplace(std::move(*started));
  }
  std::vector<std::byte> reply;
  if (child_->send(request.data(), request.size(), fd) && child_->receive(reply, kMaxReply, kPatienceNs))
    return std::string(reinterpret_cast<const char*>(reply.data()), reply.size());
  child_.reset();
  if (cancel_) return Error{Error::Kind::unavailable, "the daemon ends"};
  ++generation_;
  spdlog::warn("the parser of stacks died or took too long, another one takes its place");
  return Error{Error::Kind::unavailable, "the parser of stacks died or took too long"};
}

Result<ModuleFacts> Parser::add(ParserOp op, ModuleKey key, Fd file) {
  auto reply = call(encode_module_request(op, key), file.get());
  if (!reply) return reply.error();
  return decode_facts(*reply);
}

Status Parser::forget(ModuleKey key) {
  auto reply = call(encode_module_request(ParserOp::forget, key), -1);
  if (!reply) return reply.error();
  return ok();
}

Result<std::vector<FoundSymbol>> Parser::find_symbols(ModuleKey key, std::span<const std::string> names) {
  auto reply = call(encode_symbols_request(key, names), -1);
  if (!reply) return reply.error();
  return decode_symbols(*reply, std::min(names.size(), kMostNames));
}

Result<UnwindReply> Parser::unwind(const UnwindRequest& request, std::span<const SharedJob> jobs) {
  auto reply = call(encode_unwind_request(request, jobs), -1);
  if (!reply) return reply.error();
  return decode_reply(*reply, {.jobs = jobs.size(),
                               .addresses = request.addresses.size(),
                               .type_names = std::min(request.type_names.size(), kMostNames)});
}

}  // namespace loiter
