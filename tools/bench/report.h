// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What has been measured, and how it is shown: one table for people or one JSON object for
// programs, with ratios where two libraries were measured. It knows sides, runs and values, not how
// they came about.
#pragma once

#include <array>
#include <list>
#include <map>
#include <string>
#include <vector>

namespace ringknet::bench {

enum class Better {
  kHigher,
  kLower,
  kNeither,  // for information: no ratio
};

// Ours is 0, the other library 1.
constexpr std::size_t kSides = 2;

// One row of the table: a value per side and run.
struct Metric {
  std::string id;
  std::string label;
  std::string unit;
  Better better;
  std::array<std::map<unsigned, double>, kSides> values;
};

struct Ratio {
  double middle;
  double least;
  double most;
};

struct Section {
  std::string id;
  std::string title;
  std::list<Metric> metrics;
  std::vector<std::string> failures;
  std::vector<std::string> notes;

  // The row with this id, new at the end if need be.
  Metric& metric(const std::string& name, const std::string& label, const std::string& unit,
                 Better better);
  // Notes repeat with every run; each is kept once.
  void note(const std::string& text);
};

class Report {
 public:
  Section& section(const std::string& id, const std::string& title);
  // The row with this full id ("section.row"), or null.
  [[nodiscard]] const Metric* find(const std::string& id) const;

  // What stands above the table: name and text, in this order.
  void describe(const std::string& name, const std::string& text);

  [[nodiscard]] bool failed() const;
  [[nodiscard]] std::string table(bool two_sides) const;
  [[nodiscard]] std::string json(bool two_sides) const;

 private:
  [[nodiscard]] std::string verdict() const;

  std::vector<std::pair<std::string, std::string>> description_;
  std::list<Section> sections_;
};

}  // namespace ringknet::bench
