#include "daemon/inspect/parser/wire.h"

#include <algorithm>
#include <cstring>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

namespace loiter {
namespace {

// What a reply may hold at most; the parser's own limits lie below.
constexpr size_t kMaxPlaces = 4'000'000;
constexpr size_t kMaxLines = 256;       // functions inlined into one another at one place
constexpr size_t kMaxReachedFrom = 16;  // exported functions that lead to one without a name
constexpr size_t kMaxFrames = 65'536;   // of one stack
constexpr size_t kMaxText = 64 * 1024;  // of one name

enum FactsField : uint32_t {
  kValid = 1,
  kBuildId,
  kDebugLink,
  kDebugLinkCrc,
  kAltLink,
  kHasLines,
  kHasSymbols,
};
enum ReplyField : uint32_t { kPlace = 1, kStack, kNamed, kTypeName };
enum PlaceField : uint32_t { kPc = 1, kModule, kOffset, kExportName, kLine, kReachedFrom };
enum LineField : uint32_t { kSymbol = 1, kFile, kNumber, kInlined };
enum SymbolField : uint32_t { kSymbolEntry = 1 };
enum FoundField : uint32_t { kFound = 1, kIsCode, kIsIfunc, kAddress, kSize, kHasOffset, kFileOffset };
enum StackField : uint32_t { kPlaces = 1, kCut, kWantedEnd, kWantedStart, kSlots };

template <typename T>
void append(std::vector<std::byte>& to, const T* items, size_t count) {
  size_t size = to.size();
  to.resize(size + count * sizeof(T));
  if (count) std::memcpy(to.data() + size, items, count * sizeof(T));
}

void append_texts(std::vector<std::byte>& to, std::span<const std::string> texts) {
  for (const std::string& text : texts) {
    const auto size = static_cast<uint32_t>(std::min(text.size(), kLongestName));
    append(to, &size, 1);
    append(to, text.data(), size);
  }
}

bool take_texts(const std::vector<std::byte>& message, size_t& at, uint64_t count,
                std::vector<std::string>& texts) {
  if (count > kMostNames) return false;
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t size = 0;
    if (at > message.size() || message.size() - at < sizeof(size)) return false;
    std::memcpy(&size, message.data() + at, sizeof(size));
    at += sizeof(size);
    if (size > kLongestName || message.size() - at < size) return false;
    texts.emplace_back(reinterpret_cast<const char*>(message.data()) + at, size);
    at += size;
  }
  return true;
}

struct Malformed {};

void require(bool holds) {
  if (!holds) throw Malformed{};
}

// protozero asserts that a field is of the type that it is asked for.
using Type = protozero::pbf_wire_type;

protozero::pbf_reader& of_type(protozero::pbf_reader& reader, Type type) {
  require(reader.has_wire_type(type));
  return reader;
}

uint64_t fixed_of(protozero::pbf_reader& reader) {
  return of_type(reader, Type::fixed64).get_fixed64();
}

uint32_t number_of(protozero::pbf_reader& reader) {
  return of_type(reader, Type::varint).get_uint32();
}

bool flag_of(protozero::pbf_reader& reader) {
  // Not get_bool(), which reads a byte where there may be none (protozero 1.7.1).
  return number_of(reader) != 0;
}

protozero::pbf_reader message_of(protozero::pbf_reader& reader) {
  return of_type(reader, Type::length_delimited).get_message();
}

std::string text_of(protozero::pbf_reader& reader) {
  protozero::data_view view = of_type(reader, Type::length_delimited).get_view();
  require(view.size() <= kMaxText);
  return {view.data(), view.size()};
}

// protozero throws on what is no protobuf, we on what is no reply.
template <typename T, typename Decode>
Result<T> guarded(Decode decode) {
  try {
    return decode();
  } catch (const protozero::exception&) {
  } catch (const Malformed&) {
  }
  return Error{Error::Kind::internal, "the parser answered nonsense"};
}

CodeLine decode_line(protozero::pbf_reader reader) {
  CodeLine line;
  while (reader.next()) switch (reader.tag()) {
      case kSymbol:
        line.symbol = text_of(reader);
        break;
      case kFile:
        line.file = text_of(reader);
        break;
      case kNumber:
        line.line = number_of(reader);
        break;
      case kInlined:
        line.inlined = flag_of(reader);
        break;
      default:
        reader.skip();
    }
  return line;
}

CodePlace decode_place(protozero::pbf_reader reader) {
  CodePlace place;
  while (reader.next()) switch (reader.tag()) {
      case kPc:
        place.pc = fixed_of(reader);
        break;
      case kModule:
        place.module = of_type(reader, Type::varint).get_uint64();
        break;
      case kOffset:
        place.offset = of_type(reader, Type::varint).get_uint64();
        break;
      case kExportName:
        place.export_name = text_of(reader);
        break;
      case kReachedFrom:
        require(place.reached_from.size() < kMaxReachedFrom);
        place.reached_from.push_back(text_of(reader));
        break;
      case kLine:
        require(place.lines.size() < kMaxLines);
        place.lines.push_back(decode_line(message_of(reader)));
        break;
      default:
        reader.skip();
    }
  require(!place.lines.empty());
  return place;
}

Stack decode_stack(protozero::pbf_reader reader) {
  Stack stack;
  while (reader.next()) switch (reader.tag()) {
      case kPlaces:
        for (uint32_t place : of_type(reader, Type::length_delimited).get_packed_uint32()) {
          require(stack.places.size() < kMaxFrames);
          stack.places.push_back(place);
        }
        break;
      case kCut: {
        uint32_t cut = number_of(reader);
        require(cut <= static_cast<uint32_t>(Cut::too_deep));
        stack.cut = static_cast<Cut>(cut);
        break;
      }
      case kWantedEnd:
        stack.wanted_end = fixed_of(reader);
        break;
      case kWantedStart:
        stack.wanted_start = fixed_of(reader);
        break;
      case kSlots:
        for (uint32_t slot : of_type(reader, Type::length_delimited).get_packed_uint32()) {
          require(stack.slots.size() < kMaxFrames);
          stack.slots.push_back(slot);
        }
        break;
      default:
        reader.skip();
    }
  return stack;
}

FoundSymbol decode_symbol(protozero::pbf_reader reader) {
  FoundSymbol symbol;
  while (reader.next()) switch (reader.tag()) {
      case kFound:
        symbol.found = flag_of(reader);
        break;
      case kIsCode:
        symbol.is_code = flag_of(reader);
        break;
      case kIsIfunc:
        symbol.is_ifunc = flag_of(reader);
        break;
      case kAddress:
        symbol.address = fixed_of(reader);
        break;
      case kSize:
        symbol.size = fixed_of(reader);
        break;
      case kHasOffset:
        symbol.has_offset = flag_of(reader);
        break;
      case kFileOffset:
        symbol.file_offset = fixed_of(reader);
        break;
      default:
        reader.skip();
    }
  return symbol;
}

}  // namespace

// --- to the child ----------------------------------------------------------------------------------

std::vector<std::byte> encode_module_request(ParserOp op, ModuleKey key) {
  std::vector<std::byte> message;
  ParserRequest head{.op = op, .key = key};
  append(message, &head, 1);
  return message;
}

std::vector<std::byte> encode_unwind_request(const UnwindRequest& request, std::span<const SharedJob> jobs) {
  std::vector<std::byte> message;
  ParserRequest head{.op = ParserOp::unwind,
                     .with_lines = request.with_lines,
                     .with_slots = request.with_slots,
                     .key = request.perf_map,
                     .mappings = request.mappings.size(),
                     .jobs = jobs.size(),
                     .addresses = request.addresses.size(),
                     .type_names = std::min(request.type_names.size(), kMostNames)};
  append(message, &head, 1);
  append(message, request.mappings.data(), request.mappings.size());
  append(message, jobs.data(), jobs.size());
  append(message, request.addresses.data(), request.addresses.size());
  append_texts(message, std::span(request.type_names).first(head.type_names));
  return message;
}

bool decode_unwind_request(const std::vector<std::byte>& message, std::span<const std::byte> memory,
                           std::vector<SharedJob>& jobs, UnwindRequest& request) {
  ParserRequest head;
  if (message.size() < sizeof(head)) return false;
  std::memcpy(&head, message.data(), sizeof(head));
  const uint64_t fixed = sizeof(head) + head.mappings * sizeof(CodeMapping) + head.jobs * sizeof(SharedJob) +
                         head.addresses * sizeof(uint64_t);
  if (message.size() < fixed) return false;
  const std::byte* at = message.data() + sizeof(head);
  request.mappings.resize(head.mappings);
  std::memcpy(request.mappings.data(), at, head.mappings * sizeof(CodeMapping));
  at += head.mappings * sizeof(CodeMapping);
  jobs.resize(head.jobs);
  std::memcpy(jobs.data(), at, head.jobs * sizeof(SharedJob));
  at += head.jobs * sizeof(SharedJob);
  request.addresses.resize(head.addresses);
  std::memcpy(request.addresses.data(), at, head.addresses * sizeof(uint64_t));
  request.type_names.clear();
  size_t behind = fixed;
  if (!take_texts(message, behind, head.type_names, request.type_names) || behind != message.size())
    return false;
  request.perf_map = head.key;
  request.with_lines = head.with_lines;
  request.with_slots = head.with_slots;
  request.jobs.clear();
  for (const SharedJob& job : jobs) {
    if (job.place > memory.size() || job.size > memory.size() - job.place) return false;
    if (job.other_place > memory.size() || job.other_size > memory.size() - job.other_place) return false;
    request.jobs.push_back({.regs = &job.regs,
                            .memory_start = job.memory_start,
                            .memory = memory.subspan(job.place, job.size),
                            .whole = job.whole != 0,
                            .other_start = job.other_start,
                            .other = memory.subspan(job.other_place, job.other_size)});
  }
  return true;
}

std::vector<std::byte> encode_symbols_request(ModuleKey key, std::span<const std::string> names) {
  names = names.first(std::min(names.size(), kMostNames));
  std::vector<std::byte> message;
  ParserRequest head{.op = ParserOp::find_symbols, .key = key, .jobs = names.size()};
  append(message, &head, 1);
  append_texts(message, names);
  return message;
}

bool decode_symbols_request(const std::vector<std::byte>& message, std::vector<std::string>& names) {
  ParserRequest head;
  names.clear();
  if (message.size() < sizeof(head)) return false;
  std::memcpy(&head, message.data(), sizeof(head));
  size_t at = sizeof(head);
  return take_texts(message, at, head.jobs, names) && at == message.size();
}

// --- from the child --------------------------------------------------------------------------------

std::string encode_facts(const ModuleFacts& facts) {
  std::string message;
  protozero::pbf_writer writer(message);
  writer.add_bool(kValid, facts.valid);
  writer.add_bytes(kBuildId, facts.build_id);
  writer.add_bytes(kDebugLink, facts.debug_link);
  writer.add_uint32(kDebugLinkCrc, facts.debug_link_crc);
  writer.add_bytes(kAltLink, facts.alt_link);
  writer.add_bool(kHasLines, facts.has_lines);
  writer.add_bool(kHasSymbols, facts.has_symbols);
  return message;
}

Result<ModuleFacts> decode_facts(std::string_view message) {
  return guarded<ModuleFacts>([&] {
    protozero::pbf_reader reader(message.data(), message.size());
    ModuleFacts facts;
    while (reader.next()) switch (reader.tag()) {
        case kValid:
          facts.valid = flag_of(reader);
          break;
        case kBuildId:
          facts.build_id = text_of(reader);
          break;
        case kDebugLink:
          facts.debug_link = text_of(reader);
          break;
        case kDebugLinkCrc:
          facts.debug_link_crc = number_of(reader);
          break;
        case kAltLink:
          facts.alt_link = text_of(reader);
          break;
        case kHasLines:
          facts.has_lines = flag_of(reader);
          break;
        case kHasSymbols:
          facts.has_symbols = flag_of(reader);
          break;
        default:
          reader.skip();
      }
    return facts;
  });
}

std::string encode_symbols(std::span<const FoundSymbol> symbols) {
  std::string message;
  protozero::pbf_writer writer(message);
  for (const FoundSymbol& symbol : symbols) {
    protozero::pbf_writer to(writer, kSymbolEntry);
    to.add_bool(kFound, symbol.found);
    to.add_bool(kIsCode, symbol.is_code);
    to.add_bool(kIsIfunc, symbol.is_ifunc);
    to.add_fixed64(kAddress, symbol.address);
    to.add_fixed64(kSize, symbol.size);
    to.add_bool(kHasOffset, symbol.has_offset);
    to.add_fixed64(kFileOffset, symbol.file_offset);
  }
  return message;
}

Result<std::vector<FoundSymbol>> decode_symbols(std::string_view message, size_t names) {
  return guarded<std::vector<FoundSymbol>>([&] {
    protozero::pbf_reader reader(message.data(), message.size());
    std::vector<FoundSymbol> symbols;
    while (reader.next()) switch (reader.tag()) {
        case kSymbolEntry:
          require(symbols.size() < names);
          symbols.push_back(decode_symbol(message_of(reader)));
          break;
        default:
          reader.skip();
      }
    require(symbols.size() == names);
    return symbols;
  });
}

std::string encode_reply(const UnwindReply& reply) {
  std::string message;
  protozero::pbf_writer writer(message);
  for (const CodePlace& place : reply.places) {
    protozero::pbf_writer to(writer, kPlace);
    to.add_fixed64(kPc, place.pc);
    to.add_uint64(kModule, place.module);
    to.add_uint64(kOffset, place.offset);
    to.add_bytes(kExportName, place.export_name);
    for (const std::string& name : place.reached_from) to.add_bytes(kReachedFrom, name);
    for (const CodeLine& line : place.lines) {
      protozero::pbf_writer part(to, kLine);
      part.add_bytes(kSymbol, line.symbol);
      part.add_bytes(kFile, line.file);
      part.add_uint32(kNumber, line.line);
      part.add_bool(kInlined, line.inlined);
    }
  }
  for (const Stack& stack : reply.stacks) {
    protozero::pbf_writer to(writer, kStack);
    to.add_packed_uint32(kPlaces, stack.places.begin(), stack.places.end());
    to.add_uint32(kCut, static_cast<uint32_t>(stack.cut));
    to.add_fixed64(kWantedEnd, stack.wanted_end);
    to.add_fixed64(kWantedStart, stack.wanted_start);
    to.add_packed_uint32(kSlots, stack.slots.begin(), stack.slots.end());
  }
  writer.add_packed_uint32(kNamed, reply.named.begin(), reply.named.end());
  for (const std::string& name : reply.type_names) writer.add_bytes(kTypeName, name);
  return message;
}

Result<UnwindReply> decode_reply(std::string_view message, const ReplyShape& shape) {
  return guarded<UnwindReply>([&] {
    protozero::pbf_reader reader(message.data(), message.size());
    UnwindReply reply;
    while (reader.next()) switch (reader.tag()) {
        case kPlace:
          require(reply.places.size() < kMaxPlaces);
          reply.places.push_back(decode_place(message_of(reader)));
          break;
        case kStack:
          require(reply.stacks.size() < shape.jobs);
          reply.stacks.push_back(decode_stack(message_of(reader)));
          break;
        case kNamed:
          for (uint32_t place : of_type(reader, Type::length_delimited).get_packed_uint32()) {
            require(reply.named.size() < shape.addresses);
            reply.named.push_back(place);
          }
          break;
        case kTypeName:
          require(reply.type_names.size() < shape.type_names);
          reply.type_names.push_back(text_of(reader));
          break;
        default:
          reader.skip();
      }
    require(reply.stacks.size() == shape.jobs && reply.named.size() == shape.addresses &&
            reply.type_names.size() == shape.type_names);
    for (uint32_t place : reply.named) require(place < reply.places.size());
    for (const Stack& stack : reply.stacks) {
      for (uint32_t place : stack.places) require(place < reply.places.size());
      require(stack.slots.empty() || stack.slots.size() < stack.places.size());
    }
    return reply;
  });
}

}  // namespace loiter
