#include "apps/report/page.h"

#include "apps/report/asset.h"
#include "core/atomic_file.h"
#include "core/error.h"

namespace slope::report {
namespace {

void replace(std::string& text, const std::string& mark, std::string_view with) {
  const size_t at = text.find(mark);
  SLOPE_ASSERT(at != std::string::npos);
  text.replace(at, mark.size(), with);
}

// JSON that may stand inside a <script>: without '<', so without "</script>" and "<!--".
std::string script_safe(const nlohmann::ordered_json& json) {
  // A byte that is not UTF-8, in a configuration say, is no reason to have no report.
  std::string text = json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  for (size_t at = 0; (at = text.find('<', at)) != std::string::npos;)
    text.replace(at, 1, "\\u003c");
  return text;
}

}  // namespace

void write_page(const std::filesystem::path& file, const std::string& title,
                const std::vector<std::string>& scripts, const nlohmann::ordered_json& data) {
  std::string elements;  // each in one of its own: where one fails, the others still draw
  for (const std::string& name : scripts) {
    SLOPE_ASSERT(!asset(name).empty());
    elements.append("<script>").append(asset(name)).append("</script>\n");
  }
  std::string html(asset("report.html"));
  // Each mark once, the ones that a later replacement could bring in last.
  replace(html, "{{title}}", title);
  replace(html, "{{title}}", title);
  replace(html, "{{style}}", asset("report.css"));
  replace(html, "{{base}}", asset("base.js"));
  replace(html, "{{scripts}}", elements);
  replace(html, "{{chart}}", asset("chart.min.js"));
  replace(html, "{{data}}", script_safe(data));

  write_atomically(file, html);
}

}  // namespace slope::report
