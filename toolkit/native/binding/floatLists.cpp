/* Arguments that are lists of arrays: an optimizer's call gets all parameters of a model. */
#include <algorithm>

#include "arguments.h"

namespace moe {

/** Sorted by where they begin, spans are apart when none begins before the ones in front of it have ended. */
void Arguments::checkApart(std::vector<Span>& spans) const {
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.begin < b.begin; });
  const Span* longest = nullptr;         // of those so far, the one that ends last
  const Span* longestWritten = nullptr;  // and the same of the written ones
  for (const Span& span : spans) {
    if (span.begin == span.end) continue;
    const Span* other = span.isWritten ? longest : longestWritten;
    if (other != nullptr && other->end > span.begin) refuseOverlap(span, *other);
    if (longest == nullptr || span.end > longest->end) longest = &span;
    if (span.isWritten && (longestWritten == nullptr || span.end > longestWritten->end)) longestWritten = &span;
  }
}

/** The elements of the array that comes next. Reading them may run JavaScript (a getter): so this comes before any look
 *  at the memory of a typed array. */
std::vector<napi_value> Arguments::elements(const char* name) {
  constexpr uint32_t kMostArrays = 1 << 20;
  napi_value given = next(name);
  uint32_t length = 0;
  if (napi_get_array_length(env_, given, &length) != napi_ok) refuse(name, "something else", "an array of Float32Arrays");
  if (length > kMostArrays) refuse(name, std::to_string(length) + " arrays", "at most " + std::to_string(kMostArrays) + " arrays long");
  std::vector<napi_value> values(length);
  for (uint32_t i = 0; i < length; ++i)
    if (napi_get_element(env_, given, i, &values[i]) != napi_ok) refuse(name, "something else", "an array of Float32Arrays");
  return values;
}

std::vector<FloatRow> Arguments::floatLists(std::initializer_list<FloatList> lists) {
  std::vector<std::vector<napi_value>> columns;
  for (const FloatList& list : lists) {
    columns.push_back(elements(list.name));
    if (columns.back().size() != columns.front().size())
      refuse(list.name, std::to_string(columns.back().size()) + " arrays",
             "as long as the lists before it, " + std::to_string(columns.front().size()));
  }
  std::vector<FloatRow> rows(columns.front().size());
  std::vector<Span> spans;
  size_t column = 0;
  for (const FloatList& list : lists) {
    for (size_t i = 0; i < rows.size(); ++i) {
      Given array = givenArray(list.name, columns[column][i], "list of Float32Arrays");
      if (array.type != napi_float32_array) refuse(list.name, "another kind of typed array", "a list of Float32Arrays");
      if (column == 0) rows[i].length = array.length;
      if (array.length != rows[i].length)
        refuse(list.name, std::to_string(array.length) + " elements in array " + std::to_string(i),
               "as long there as the lists before it, " + std::to_string(rows[i].length));
      rows[i].data[column] = reinterpret_cast<float*>(array.data);
      spans.push_back({list.name, array.data, array.data + array.length * static_cast<int64_t>(sizeof(float)), list.isWritten});
    }
    ++column;
  }
  checkApart(spans);
  listSpans_ = std::move(spans);
  return rows;
}

}  // namespace moe
