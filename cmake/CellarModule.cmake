# cellar_module(NAME [SEPARATE] DEPENDS a b LIBRARIES x y PCH_FROM module)
#
# Makes of the current folder one static library from *.cc (but *_test.cc and main.cc) and one test
# program NAME_test from *_test.cc. Both use the precompiled headers of the module PCH_FROM, or
# base's. `cellar_program(NAME ...)` adds a program from main.cc. Where CMAKE_UNITY_BUILD is on, which
# halves the time of a build from nothing, the sources of a SEPARATE library are compiled one by one
# still: a static program takes only those objects of it that it needs.
# Sources are globbed on purpose: adding a file edits no list (docs/adr/0007).

add_library(cellar_flags INTERFACE)
target_include_directories(cellar_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(cellar_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wimplicit-fallthrough -Werror
  -Wno-missing-field-initializers)
target_compile_definitions(cellar_flags INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_BOOST_COROUTINE)
target_link_libraries(cellar_flags INTERFACE Threads::Threads)

function(cellar_module NAME)
  cmake_parse_arguments(ARG "SEPARATE" "PCH_FROM" "DEPENDS;LIBRARIES;TEST_LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(NOT ARG_PCH_FROM)
    set(ARG_PCH_FROM base)
  endif()
  list(TRANSFORM ARG_DEPENDS PREPEND cellar_ OUTPUT_VARIABLE depends)

  if(sources)
    add_library(cellar_${NAME} STATIC ${sources})
    if(ARG_SEPARATE)
      set_target_properties(cellar_${NAME} PROPERTIES UNITY_BUILD OFF)
    endif()
    target_link_libraries(cellar_${NAME} PUBLIC cellar_flags ${depends} PRIVATE ${ARG_LIBRARIES})
    if(NOT ARG_PCH_FROM STREQUAL NAME)
      target_precompile_headers(cellar_${NAME} REUSE_FROM cellar_${ARG_PCH_FROM})
    endif()
  else()
    add_library(cellar_${NAME} INTERFACE)
    target_link_libraries(cellar_${NAME} INTERFACE cellar_flags ${depends} ${ARG_LIBRARIES})
  endif()

  if(tests)
    add_executable(${NAME}_test ${tests})
    target_link_libraries(${NAME}_test PRIVATE cellar_${NAME} cellar_testing ${ARG_LIBRARIES}
                                               ${ARG_TEST_LIBRARIES})
    # The compiler takes precompiled headers of a library for a program only where both are PIC.
    target_compile_options(${NAME}_test PRIVATE -fPIC)
    target_precompile_headers(${NAME}_test REUSE_FROM cellar_${ARG_PCH_FROM})
    set_target_properties(${NAME}_test PROPERTIES
      POSITION_INDEPENDENT_CODE OFF RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
    add_test(NAME ${NAME} COMMAND ${NAME}_test)
    set_tests_properties(${NAME} PROPERTIES LABELS unit TIMEOUT 300)
  endif()
endfunction()

# cellar_program(NAME MODULE m LIBRARIES ...): the program NAME from m's main.cc.
# cellar_program(NAME STATIC ARCHIVES a b): one that needs no library at run time. Only the modules
# named are linked, in this order: Debian has some of their libraries as shared objects only.
function(cellar_program NAME)
  cmake_parse_arguments(ARG "STATIC" "MODULE" "LIBRARIES;ARCHIVES" ${ARGN})
  add_executable(${NAME} main.cc)
  if(NOT ARG_STATIC)
    target_link_libraries(${NAME} PRIVATE cellar_${ARG_MODULE} ${ARG_LIBRARIES})
    return()
  endif()
  target_link_libraries(${NAME} PRIVATE cellar_flags)
  foreach(module IN LISTS ARG_ARCHIVES)
    add_dependencies(${NAME} cellar_${module})
    target_link_libraries(${NAME} PRIVATE $<TARGET_FILE:cellar_${module}>)
  endforeach()
  if(NOT CELLAR_SANITIZE)
    target_link_options(${NAME} PRIVATE -static-pie)
  endif()
endfunction()
