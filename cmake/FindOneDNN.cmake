# Finds oneDNN without its own CMake package, which on Debian insists on OpenCL's development files.
# Defines OneDNN_FOUND and the target OneDNN::OneDNN. Version 3 has another interface, which
# backends/cpu/conv_onednn.cpp does not speak: it counts as not found.
find_path(OneDNN_INCLUDE_DIR oneapi/dnnl/dnnl.hpp)
find_library(OneDNN_LIBRARY dnnl)
mark_as_advanced(OneDNN_INCLUDE_DIR OneDNN_LIBRARY)

if(OneDNN_INCLUDE_DIR)
  file(STRINGS ${OneDNN_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h version_line
       REGEX "#define DNNL_VERSION_MAJOR +[0-9]+")
  string(REGEX MATCH "[0-9]+" OneDNN_VERSION "${version_line}")
  if(NOT OneDNN_VERSION EQUAL 2)
    message(STATUS "oneDNN ${OneDNN_VERSION} found, version 2 is needed: own convolutions instead")
    set(OneDNN_LIBRARY OneDNN_LIBRARY-NOTFOUND)
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OneDNN REQUIRED_VARS OneDNN_LIBRARY OneDNN_INCLUDE_DIR)

if(OneDNN_FOUND AND NOT TARGET OneDNN::OneDNN)
  add_library(OneDNN::OneDNN UNKNOWN IMPORTED)
  set_target_properties(OneDNN::OneDNN PROPERTIES IMPORTED_LOCATION ${OneDNN_LIBRARY}
                                                  INTERFACE_INCLUDE_DIRECTORIES ${OneDNN_INCLUDE_DIR})
endif()
