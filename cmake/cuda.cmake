# The CUDA backend (SLOPE_CUDA): backends/cuda in slope::slope, with cuBLAS and cuDNN. Kernels are *.cu,
# the host's part *.cpp. No CUDA header, library or symbol is part of a build without it.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(SLOPE_NVCC nvcc PATHS /usr/local/cuda/bin)
  if(NOT SLOPE_NVCC)
    message(FATAL_ERROR "SLOPE_CUDA is ON, but there is no nvcc on PATH or in /usr/local/cuda/bin. Install "
                        "the CUDA Toolkit, set CUDACXX, or configure with -DSLOPE_CUDA=OFF.")
  endif()
  set(CMAKE_CUDA_COMPILER ${SLOPE_NVCC})
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80 90)
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc speaks C++20
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
find_package(CUDAToolkit REQUIRED)
find_path(CUDNN_INCLUDE_DIR cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
find_library(CUDNN_LIBRARY cudnn HINTS ${CUDAToolkit_LIBRARY_DIR})
if(NOT CUDNN_INCLUDE_DIR OR NOT CUDNN_LIBRARY)
  message(FATAL_ERROR "SLOPE_CUDA is ON, but cuDNN was not found. Install cudnn.h and libcudnn where the CUDA "
                      "Toolkit is, or set CUDNN_INCLUDE_DIR and CUDNN_LIBRARY.")
endif()

file(GLOB cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/backends/cuda/*.cpp)
file(GLOB cuda_kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/backends/cuda/*.cu)
target_sources(slope PRIVATE ${cuda_sources})
target_include_directories(slope SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${CUDNN_INCLUDE_DIR})
target_link_libraries(slope PRIVATE CUDA::cudart_static CUDA::cublas ${CUDNN_LIBRARY})
set_source_files_properties(${PROJECT_SOURCE_DIR}/backends/backends.cpp
                            PROPERTIES COMPILE_DEFINITIONS SLOPE_WITH_CUDA=1)

# A kernel whose registers spill to memory does not build.
# --fmad=false for the same reason as -ffp-contract=off: kernels give the numbers that were tested.
add_library(slope_cuda_kernels OBJECT ${cuda_kernels})
target_include_directories(slope_cuda_kernels PRIVATE ${PROJECT_SOURCE_DIR})
target_include_directories(slope_cuda_kernels SYSTEM PRIVATE ${CUDNN_INCLUDE_DIR})
target_compile_options(slope_cuda_kernels PRIVATE --fmad=false --expt-relaxed-constexpr -Werror=all-warnings
                                                  -Xcompiler=-Wall,-Wextra
                                                  -Xptxas=--warn-on-spills,--warning-as-error)
target_sources(slope PRIVATE $<TARGET_OBJECTS:slope_cuda_kernels>)
