# How poise's own executables (tests, examples, benchmarks) are compiled.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, ..." FORCE)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_CXX_EXTENSIONS OFF)
if(NOT TARGET poise::parallel)
    message(FATAL_ERROR "The tests, examples and benchmarks of poise need poise::parallel")
endif()
# Here, unlike for users, poise's headers are ours: their warnings count.
set_target_properties(poise::poise PROPERTIES SYSTEM FALSE)

find_program(POISE_CCACHE ccache)
mark_as_advanced(POISE_CCACHE)
if(POISE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # The sloppiness is what ccache asks for to cache sources that use a precompiled header.
    set(poise_launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
        ${POISE_CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${poise_launcher})
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${poise_launcher})
endif()

# Flags of all our own executables, to be linked by each.
add_library(poise_own_flags INTERFACE)
target_compile_options(poise_own_flags INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wconversion;-Wshadow>"
    "$<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wno-bitwise-instead-of-logical>" # masks of scalars may be bool
    "$<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${POISE_WERROR}>>:-Werror>"
    "$<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${POISE_NATIVE}>>:-march=native>")
if(POISE_CCACHE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(poise_precompiled_header_options -fpch-preprocess) # or ccache cannot see into the precompiled header
elseif(POISE_CCACHE AND CMAKE_CXX_COMPILER_ID MATCHES Clang)
    set(poise_precompiled_header_options "SHELL:-Xclang -fno-pch-timestamp")
endif()

# poise_add_executable(<name> SOURCES <files> [LIBRARIES <targets>]): an executable of ours, linked with poise::poise and
# poise::parallel.
function(poise_add_executable name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE poise_own_flags poise::poise poise::parallel ${arg_LIBRARIES})
endfunction()
