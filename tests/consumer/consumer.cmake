# Configures, builds and runs the consumer project `way` against the poise in `poise`, built in `build`, with `generator`, `compiler`,
# `launcher` and `ctest`.
set(source ${CMAKE_CURRENT_LIST_DIR}/${way})
set(binary ${build}/consumer/${way})
set(prefix ${build}/consumer/prefix)
file(REMOVE_RECURSE ${binary})
if(way STREQUAL "installed")
    file(REMOVE_RECURSE ${prefix})
    execute_process(COMMAND ${CMAKE_COMMAND} --install ${build} --prefix ${prefix}
        OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endif()

function(build_and_run)
    execute_process(COMMAND ${CMAKE_COMMAND} -S ${source} -B ${binary} -G ${generator} -D CMAKE_CXX_COMPILER=${compiler}
        -D "CMAKE_CXX_COMPILER_LAUNCHER=${launcher}" -D CMAKE_PREFIX_PATH=${prefix} -D poise_source=${poise} ${ARGN}
        COMMAND_ERROR_IS_FATAL ANY)
    execute_process(COMMAND ${CMAKE_COMMAND} --build ${binary} COMMAND_ERROR_IS_FATAL ANY)
    execute_process(COMMAND ${ctest} --test-dir ${binary} --output-on-failure --no-tests=error
        COMMAND_ERROR_IS_FATAL ANY)
endfunction()

if(way STREQUAL "installed")
    # Who uses only poise::poise needs neither TBB nor Thrust nor xtensor nor the CUDA Toolkit.
    build_and_run(-D parallel=OFF -D CMAKE_DISABLE_FIND_PACKAGE_TBB=ON -D CMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON
        -D CMAKE_DISABLE_FIND_PACKAGE_CUDAToolkit=ON -D CMAKE_DISABLE_FIND_PACKAGE_xtensor=ON)
    file(REMOVE_RECURSE ${binary})
    build_and_run(-D parallel=ON -D POISE_PARALLEL_SYSTEM=OMP)
    file(REMOVE_RECURSE ${binary})
    build_and_run(-D parallel=ON -D POISE_PARALLEL_SYSTEM=TBB)
else()
    build_and_run()
endif()
