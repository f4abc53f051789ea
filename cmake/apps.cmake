# The published networks (slope_models), the built-in ODE problems (slope_problems) and the program
# `slope`. Everything but main.cpp is a library, so that tests can call it.
file(GLOB model_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/apps/models/*.cpp)
if(model_sources)
  add_library(slope_models STATIC ${model_sources})
  target_link_libraries(slope_models PUBLIC slope::slope)
endif()

slope_sources(problem_sources apps/problems)
add_library(slope_problems STATIC ${problem_sources})
target_link_libraries(slope_problems PUBLIC slope::slope)

slope_sources(program_sources apps/slope apps/report)
list(FILTER program_sources EXCLUDE REGEX "/apps/slope/main\\.cpp$")
set(program_main ${PROJECT_SOURCE_DIR}/apps/slope/main.cpp)
if(program_sources AND model_sources AND data_sources)
  find_package(CLI11 REQUIRED)
  find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)
  add_library(slope_program STATIC ${program_sources})
  target_link_libraries(slope_program PUBLIC slope::slope slope::data slope_models slope_problems
                                             CLI11::CLI11 nlohmann_json::nlohmann_json)
  target_include_directories(slope_program SYSTEM PRIVATE ${TOMLPLUSPLUS_INCLUDE_DIR} ${STB_INCLUDE_DIR})
  target_compile_definitions(slope_program PRIVATE SLOPE_VERSION="${PROJECT_VERSION}")
  # Parsing and printing: nothing here runs long, and optimising CLI11 and JSON is half of a build.
  target_compile_options(slope_program PRIVATE $<IF:$<BOOL:${SLOPE_SANITIZE}>,-O0,-O1>)

  # What a report carries: our own style sheets and scripts, and the chart library.
  file(GLOB asset_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/apps/report/assets/*)
  find_file(CHART_SCRIPT chart.min.js PATHS /usr/share/javascript/chart.js NO_CMAKE_FIND_ROOT_PATH)
  if(CHART_SCRIPT)
    list(APPEND asset_files ${CHART_SCRIPT})
  else()
    message(STATUS "Chart.js not found (Debian: libjs-chart.js): reports will have tables only")
  endif()
  set(assets)
  foreach(file IN LISTS asset_files)
    get_filename_component(name ${file} NAME)
    list(APPEND assets ${name}=${file})
  endforeach()
  slope_embed(slope_program apps/report/asset.h slope::report::asset ${assets})

  if(EXISTS ${program_main})
    add_executable(slope_cli ${program_main})
    set_target_properties(slope_cli PROPERTIES OUTPUT_NAME slope)
    target_link_libraries(slope_cli PRIVATE slope_program)
    target_compile_definitions(slope_cli PRIVATE SLOPE_VERSION="${PROJECT_VERSION}")
  endif()
endif()
