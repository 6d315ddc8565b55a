// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Medians, ratios and their layout. A ratio is always turned so that above 1 our side is the better
// one.
#include "tools/bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "tools/bench/stats.h"

namespace ringknet::bench {
namespace {

// Nobody can tell these apart: 66.00 and 65.99 MB are the same.
constexpr double kEqualFrom = 0.99;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> values_of(const Metric& metric, std::size_t side) {
  std::vector<double> values;
  for (const auto& [run, value] : metric.values[side]) {
    values.push_back(value);
  }
  return values;
}

// Two zeros are equal; a zero against something is infinitely good or bad.
double oriented_ratio(double ours, double theirs, Better better) {
  const double above = better == Better::kHigher ? ours : theirs;
  const double below = better == Better::kHigher ? theirs : ours;
  if (below == 0) {
    return above == 0 ? 1 : kInfinity;
  }
  return above / below;
}

const char* better_name(Better better) {
  return better == Better::kHigher ? "higher" : better == Better::kLower ? "lower" : "neither";
}

std::optional<Ratio> ratio_of(const Metric& metric) {
  if (metric.better == Better::kNeither) {
    return std::nullopt;
  }
  std::vector<double> pairs;
  for (const auto& [run, ours] : metric.values[0]) {
    const auto theirs = metric.values[1].find(run);
    if (theirs != metric.values[1].end()) {
      pairs.push_back(oriented_ratio(ours, theirs->second, metric.better));
    }
  }
  if (pairs.empty()) {
    return std::nullopt;
  }
  const auto [least, most] = std::minmax_element(pairs.begin(), pairs.end());
  const double middle =
      oriented_ratio(median(values_of(metric, 0)), median(values_of(metric, 1)), metric.better);
  return Ratio{middle, *least, *most};
}

std::string with_thousands(double value) {
  std::string digits = fmt::format("{:.0f}", value);
  for (auto at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return digits;
}

// Three or four digits that mean something.
std::string show(double value) {
  if (std::isinf(value)) {
    return "inf";
  }
  if (value >= 1000) {
    return with_thousands(value);
  }
  if (value == std::floor(value)) {
    return fmt::format("{:.0f}", value);
  }
  return fmt::format("{:.{}f}", value, value >= 100 ? 1 : value >= 10 ? 2 : 3);
}

std::string show_ratio(double ratio) {
  return std::isinf(ratio) ? "inf" : fmt::format("{:.{}f}", ratio, ratio >= 10 ? 1 : 2);
}

std::string show_side(const Metric& metric, std::size_t side) {
  const std::vector<double> values = values_of(metric, side);
  return values.empty() ? "-" : show(median(values));
}

std::string show_spread(const Metric& metric, std::size_t side) {
  const std::vector<double> values = values_of(metric, side);
  if (values.size() < 2) {
    return "";
  }
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return fmt::format("{} .. {}", show(*least), show(*most));
}

std::string table_row(const Metric& metric, bool two_sides) {
  const std::string start = fmt::format("  {:<34}{:>12}", metric.label, show_side(metric, 0));
  if (!two_sides) {
    return fmt::format("{} {:<12}{}", start, metric.unit, show_spread(metric, 0));
  }
  std::string sides = fmt::format("{}{:>12} {:<12}", start, show_side(metric, 1), metric.unit);
  const auto ratio = ratio_of(metric);
  if (!ratio) {
    return sides;
  }
  return fmt::format("{}{:>8}   {} .. {}", sides, show_ratio(ratio->middle),
                     show_ratio(ratio->least), show_ratio(ratio->most));
}

std::string trimmed(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

std::string quoted(const std::string& text) {
  std::string json = "\"";
  for (const char character : text) {
    if (character == '"' || character == '\\') {
      json += '\\';
      json += character;
    } else if (static_cast<unsigned char>(character) < ' ') {
      json += fmt::format("\\u{:04x}", static_cast<unsigned>(character));
    } else {
      json += character;
    }
  }
  return json + '"';
}

// JSON has no infinity.
std::string json_number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "null";
}

std::string json_list(const std::vector<std::string>& items) {
  return fmt::format("[{}]", fmt::join(items, ", "));
}

std::string json_texts(const std::vector<std::string>& texts) {
  std::vector<std::string> items(texts.size());
  std::transform(texts.begin(), texts.end(), items.begin(), quoted);
  return json_list(items);
}

std::string json_side(const Metric& metric, std::size_t side) {
  std::vector<std::string> items;
  for (const double value : values_of(metric, side)) {
    items.push_back(json_number(value));
  }
  const std::string middle = items.empty() ? "null" : json_number(median(values_of(metric, side)));
  return fmt::format("{{\"median\": {}, \"values\": {}}}", middle, json_list(items));
}

std::string json_metric(const Metric& metric, bool two_sides) {
  std::string json =
      fmt::format("{{\"id\": {}, \"label\": {}, \"unit\": {}, \"better\": \"{}\", \"ours\": {}",
                  quoted(metric.id), quoted(metric.label), quoted(metric.unit),
                  better_name(metric.better), json_side(metric, 0));
  if (two_sides) {
    json += fmt::format(", \"theirs\": {}", json_side(metric, 1));
    if (const auto ratio = ratio_of(metric)) {
      json += fmt::format(", \"ratio\": {{\"median\": {}, \"min\": {}, \"max\": {}}}",
                          json_number(ratio->middle), json_number(ratio->least),
                          json_number(ratio->most));
    } else {
      json += ", \"ratio\": null";
    }
  }
  return json + "}";
}

}  // namespace

Metric& Section::metric(const std::string& name, const std::string& label, const std::string& unit,
                        Better better) {
  const std::string full = id + "." + name;
  const auto found = std::find_if(metrics.begin(), metrics.end(),
                                  [&full](const Metric& metric) { return metric.id == full; });
  if (found != metrics.end()) {
    return *found;
  }
  return metrics.emplace_back(Metric{full, label, unit, better, {}});
}

void Section::note(const std::string& text) {
  if (std::find(notes.begin(), notes.end(), text) == notes.end()) {
    notes.push_back(text);
  }
}

Section& Report::section(const std::string& id, const std::string& title) {
  const auto found = std::find_if(sections_.begin(), sections_.end(),
                                  [&id](const Section& section) { return section.id == id; });
  if (found != sections_.end()) {
    return *found;
  }
  return sections_.emplace_back(Section{id, title, {}, {}, {}});
}

const Metric* Report::find(const std::string& id) const {
  for (const Section& section : sections_) {
    for (const Metric& metric : section.metrics) {
      if (metric.id == id) {
        return &metric;
      }
    }
  }
  return nullptr;
}

void Report::describe(const std::string& name, const std::string& text) {
  description_.emplace_back(name, text);
}

bool Report::failed() const {
  return std::any_of(sections_.begin(), sections_.end(),
                     [](const Section& section) { return !section.failures.empty(); });
}

std::string Report::table(bool two_sides) const {
  std::string text;
  for (const auto& [name, description] : description_) {
    text += fmt::format("{:<10}{}\n", name, description);
  }
  text += '\n';
  text += two_sides ? trimmed(fmt::format("{:<36}{:>12}{:>12} {:<12}{:>8}   {}", "", "ours",
                                          "theirs", "", "ratio", "min .. max"))
                    : "";
  for (const Section& section : sections_) {
    text += section.title + '\n';
    for (const Metric& metric : section.metrics) {
      text += trimmed(table_row(metric, two_sides));
    }
    for (const std::string& failure : section.failures) {
      text += fmt::format("  FAILED: {}\n", failure);
    }
    for (const std::string& note : section.notes) {
      text += fmt::format("  note: {}\n", note);
    }
  }
  return two_sides ? text + verdict() : text;
}

std::string Report::verdict() const {
  std::size_t better = 0;
  std::size_t about_equal = 0;
  std::vector<std::string> mostly_worse;
  std::vector<std::string> worse;
  for (const Section& section : sections_) {
    for (const Metric& metric : section.metrics) {
      const auto ratio = ratio_of(metric);
      if (!ratio) {
        continue;
      }
      if (ratio->most < kEqualFrom) {
        worse.push_back(metric.id);
      } else if (ratio->middle < kEqualFrom) {
        mostly_worse.push_back(metric.id);
      } else if (ratio->least < kEqualFrom) {
        ++about_equal;
      } else {
        ++better;
      }
    }
  }
  const auto named = [](const std::vector<std::string>& rows) {
    return rows.empty() ? "none" : fmt::format("{} ({})", rows.size(), fmt::join(rows, ", "));
  };
  return fmt::format(
      "\nA ratio above 1 says that ours is better. Values are medians; min .. max are the ratios "
      "of "
      "run by run.\n"
      "Rows equal (within 1 %) or better in every run: {}; in the median, but not in every run: "
      "{}.\n"
      "Worse in the median, but not in every run: {}.\n"
      "Worse in every run: {}.\n",
      better, about_equal, named(mostly_worse), named(worse));
}

std::string Report::json(bool two_sides) const {
  std::vector<std::string> description;
  for (const auto& [name, text] : description_) {
    description.push_back(fmt::format("{}: {}", quoted(name), quoted(text)));
  }
  std::vector<std::string> sections;
  for (const Section& section : sections_) {
    std::vector<std::string> rows;
    for (const Metric& metric : section.metrics) {
      rows.push_back("\n      " + json_metric(metric, two_sides));
    }
    sections.push_back(fmt::format(
        "\n    {{\"id\": {}, \"title\": {}, \"failures\": {}, \"notes\": {}, \"rows\": {}}}",
        quoted(section.id), quoted(section.title), json_texts(section.failures),
        json_texts(section.notes), json_list(rows)));
  }
  return fmt::format(
      "{{\n  \"format\": 1,\n  \"description\": {{{}}},\n  \"failed\": {},\n"
      "  \"sections\": {}\n}}\n",
      fmt::join(description, ", "), failed(), json_list(sections));
}

}  // namespace ringknet::bench
