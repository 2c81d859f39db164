// What a workload of cases.h tells of its threads, held against what the daemon tells of them.
//
// Pure functions, any thread. Each failure names all that differs and shows the fact and the whole answer: a
// look at the log suffices.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace loiter::test {

// One of the words in "lock|futex"; "null" stands for a JSON null.
bool is_one_of(const nlohmann::json& value, const std::string& words);

// The "wait" of a thread is as its fact has it: kind, system call, object, holder, time limit, descriptor.
::testing::AssertionResult wait_is_as_told(const nlohmann::json& thread, const nlohmann::json& fact);

// Nobody is named as the holder, nor said to be one.
::testing::AssertionResult has_no_holder(const nlohmann::json& thread);

// The functions of `frames`, the innermost first, stand on its stack in this order, others may be between
// them. "name", "part::of<", "name@line", "name@line!" for an inlined one.
::testing::AssertionResult stack_shows(const nlohmann::json& thread, const std::string& frames);

// "std::vector<int>::push_back" of "void std::vector<int>::push_back(int) const".
std::string function_name(const std::string& symbol);

std::vector<std::string> split(const std::string& text, char separator);

}  // namespace loiter::test
