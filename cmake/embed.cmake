# slope_embed(TARGET HEADER FUNCTION [NAME=FILE]...): puts files into TARGET and defines FUNCTION, which
# HEADER declares as
#   std::string_view FUNCTION(std::string_view name);
# It returns the bytes of the file with that NAME, or an empty view when there is none. Without files it
# is empty for every name, so callers need no #if.
function(slope_embed target header function)
  string(REPLACE "::" "_" stem ${function})
  set(source ${CMAKE_CURRENT_BINARY_DIR}/embedded/${stem}.cpp)
  set(assembler)
  set(externs)
  set(rows)
  set(files)
  set(index 0)
  foreach(item IN LISTS ARGN)
    if(NOT item MATCHES "^([^=]+)=(.+)$")
      message(FATAL_ERROR "slope_embed: '${item}' is not NAME=FILE")
    endif()
    set(name ${CMAKE_MATCH_1})
    set(file ${CMAKE_MATCH_2})
    set(label ${stem}_${index})
    string(APPEND assembler ".balign 64\\n${label}_begin:\\n.incbin \\\"${file}\\\"\\n${label}_end:\\n")
    string(APPEND externs "extern \"C\" __attribute__((visibility(\"hidden\"))) const char "
                          "${label}_begin[], ${label}_end[];\n")
    string(APPEND rows "  if (name == \"${name}\") return {${label}_begin, ${label}_end};\n")
    list(APPEND files ${file})
    math(EXPR index "${index} + 1")
  endforeach()
  set(text "// Made by cmake/embed.cmake.\n#include \"${header}\"\n\n${externs}")
  if(assembler)
    string(APPEND text "asm(\".pushsection .rodata\\n${assembler}.popsection\\n\");\n")
  endif()
  string(APPEND text "\nstd::string_view ${function}([[maybe_unused]] std::string_view name) {\n${rows}"
                     "  return {};\n}\n")
  file(CONFIGURE OUTPUT ${source} CONTENT "${text}" @ONLY)
  # The assembler reads the files, so the compiler's own dependency scan does not see them.
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS "${files}")
  target_sources(${target} PRIVATE ${source})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
endfunction()
