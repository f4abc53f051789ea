# slope_add_isa_kernels(TARGET FILES...): compiles each file once per instruction set and adds the
# objects to TARGET. The code picks one at run time, so the binary is portable and needs no
# -march=native. Each compilation sees SLOPE_ISA=generic, avx2 or avx512 and must keep its code in
# the namespace of that name; tests/isa_symbols.sh checks that nothing leaks out of it.
# Where all three exist, SLOPE_X86 is defined for these files and for TARGET. Call it once per target.

set(SLOPE_ISA_FLAGS_generic)
set(SLOPE_ISA_FLAGS_avx2 -mavx2 -mfma)
set(SLOPE_ISA_FLAGS_avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma
                           -mprefer-vector-width=512)

# Kernels are optimised in every build type: an unoptimised one makes debug and sanitized tests crawl,
# and an inline function that was not inlined would leave its namespace. Sanitizers instrument what the
# vectoriser made; -O2 halves their compile time.
if(SLOPE_SANITIZE)
  set(SLOPE_KERNEL_FLAGS -O2)
else()
  set(SLOPE_KERNEL_FLAGS -O3)
endif()
list(APPEND SLOPE_KERNEL_FLAGS -fno-math-errno -fno-trapping-math -fopenmp-simd -Wno-psabi)

function(slope_add_isa_kernels target)
  if(NOT ARGN)
    return()
  endif()
  set(isas generic)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
    set(isas generic avx2 avx512)
    set(definitions SLOPE_X86=1)
    target_compile_definitions(${target} PRIVATE SLOPE_X86=1)
  endif()
  foreach(isa IN LISTS isas)
    set(objects ${target}_kernels_${isa})
    add_library(${objects} OBJECT ${ARGN})
    target_include_directories(${objects} PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_definitions(${objects} PRIVATE SLOPE_ISA=${isa} ${definitions})
    target_compile_options(${objects} PRIVATE ${SLOPE_KERNEL_FLAGS} ${SLOPE_ISA_FLAGS_${isa}})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
  endforeach()
endfunction()
