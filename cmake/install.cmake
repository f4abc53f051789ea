# Installs headers under include/slope (both include/ and include/slope are on a user's path, so
# "slope/core/tensor.h" and slope's own "core/tensor.h" both work), the libraries, the program with its
# data, and a CMake package: find_package(slope) gives slope::slope and slope::data.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/slope)
set(installed_libraries slope)
if(TARGET slope_data)
  list(APPEND installed_libraries slope_data)
endif()

install(TARGETS ${installed_libraries} EXPORT slopeTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT slopeTargets NAMESPACE slope:: DESTINATION ${package_dir})
foreach(folder core autograd nn ode)
  if(EXISTS ${PROJECT_SOURCE_DIR}/${folder})
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/slope
            FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
  endif()
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/slope.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/slope)

configure_package_config_file(cmake/slopeConfig.cmake.in ${PROJECT_BINARY_DIR}/slopeConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/slopeConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/slopeConfig.cmake ${PROJECT_BINARY_DIR}/slopeConfigVersion.cmake
              cmake/FindOneDNN.cmake
        DESTINATION ${package_dir})

if(TARGET slope_cli)
  install(TARGETS slope_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(DIRECTORY data/mnist DESTINATION ${CMAKE_INSTALL_DATADIR}/slope)
endif()
