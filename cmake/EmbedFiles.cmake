# embed_files(TARGET NAMESPACE ns ROOT dir FILES a b ...)
# embed_files(TARGET NAMESPACE ns ROOT dir MADE_WITH stamp)
#
# Compiles files into TARGET as `ns::kFiles`, an array of {name, contents}, names relative to ROOT.
# The second form takes all files that are below ROOT once `stamp` was made.
# The header is "NAMESPACE_files.h" in the build folder (":" becomes "_").
function(embed_files TARGET)
  cmake_parse_arguments(ARG "" "NAMESPACE;ROOT;MADE_WITH" "FILES" ${ARGN})
  string(REPLACE "::" "_" stem ${ARG_NAMESPACE})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embedded)
  set(paths ${ARG_FILES})
  list(TRANSFORM paths PREPEND ${ARG_ROOT}/)
  add_custom_command(
    OUTPUT ${out}/${stem}_files.cc ${out}/${stem}_files.h
    COMMAND python3 ${PROJECT_SOURCE_DIR}/cmake/embed_files.py ${ARG_NAMESPACE} ${ARG_ROOT} ${out}/${stem}_files
            ${ARG_FILES}
    DEPENDS ${paths} ${ARG_MADE_WITH} ${PROJECT_SOURCE_DIR}/cmake/embed_files.py
    VERBATIM)
  target_sources(${TARGET} PRIVATE ${out}/${stem}_files.cc ${out}/${stem}_files.h)
  target_include_directories(${TARGET} PUBLIC ${out})
endfunction()
