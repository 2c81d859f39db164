#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/target.h"
#include "cli/why_text.h"
#include "cli/word_wrap.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

constexpr size_t kParagraphColumns = 80;  // without a terminal

// The root's stack, or why there is none; it may belong to another process than the one asked for.
struct RootStack {
  json document = json::array();  // the member `stack`
  std::optional<StackThread> thread;
  std::string why_none;
};

RootStack fetch_stack(Client& client, const Root& root) {
  RootStack stack;
  if (root.pid == 0 || root.tid == 0) return stack;
  const Target target = Target("/v1/processes/" + std::to_string(root.pid) + "/stacks").with("tid", root.tid);
  Result<json> document = client.get(target.text());
  if (!document) {
    stack.why_none = document.error().message;
    return stack;
  }
  Result<Stacks> stacks = parse_stacks(*document);
  if (!stacks) {
    stack.why_none = stacks.error().message;
    return stack;
  }
  for (size_t i = 0; i < stacks->threads.size(); ++i) {
    if (stacks->threads[i].tid != root.tid) continue;
    const json& thread = document->at("threads").at(i);
    if (thread.contains("stack") && thread["stack"].is_array()) stack.document = thread["stack"];
    stack.thread = std::move(stacks->threads[i]);
    return stack;
  }
  stack.why_none = "the daemon tells of no such thread";
  return stack;
}

// A thread as a link of a chain has it.
json link_of(const json& thread, const ProcessRow& process) {
  json link{{"pid", process.pid}, {"comm", process.comm}, {"via", nullptr}};
  for (const char* key : {"tid", "name", "state", "blocked_ns", "blocked_max_ns", "exactness", "wait"})
    link[key] = thread.contains(key) ? thread[key] : json();
  return link;
}

json why_document(const json& tree, const json& chains, const Chains& parsed, const ProcessRow& process,
                  const Root& root) {
  json document{{"schema", 1}, {"pid", process.pid}, {"root", nullptr}, {"chain", nullptr}};
  for (const char* key : {"as_of", "as_of_boottime_ns", "process"})
    if (tree.contains(key)) document[key] = tree[key];
  if (root.chain) {
    const json& chain = chains.at("chains").at(*root.chain);
    document["chain"] = chain;
    document["root"] = chain.at("links").at(parsed.chains[*root.chain].root);
  } else if (root.thread) {
    document["root"] = link_of(tree.at("threads").at(*root.thread), process);
  }
  return document;
}

}  // namespace

Result<int> run_why(Client& client, const Options& options, Output& out) {
  const std::string path = "/v1/processes/" + std::to_string(options.pid.value_or(0));
  // The threads first, so that the chains are of a picture no older.
  Result<json> tree_document = client.get(Target(path).with("fresh", 1).with("ended", 0).text());
  if (!tree_document) return tree_document.error();
  Result<Tree> tree = parse_tree(*tree_document);
  if (!tree) return tree.error();
  Result<json> chains_document = client.get(path + "/chains");
  if (!chains_document) return chains_document.error();
  Result<Chains> chains = parse_chains(*chains_document);
  if (!chains) return chains.error();
  const Root root = find_root(*tree, *chains);
  const RootStack stack = fetch_stack(client, root);
  const std::string text =
      why_text(*tree, *chains, root, stack.thread ? &*stack.thread : nullptr, stack.why_none);
  if (!options.json) {
    for (const std::string& line : word_wrap(text, out.width().value_or(kParagraphColumns))) out.line(line);
    return 0;
  }
  json document = why_document(*tree_document, *chains_document, *chains, tree->process, root);
  document["text"] = text;
  document["stack"] = stack.document;
  out.json(document);
  return 0;
}

}  // namespace loiter::cli
