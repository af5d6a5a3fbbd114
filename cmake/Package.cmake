# What an installation is made of, and the Debian package of it (scripts/package). Programs find each other by where they are:
# cellar-spawn and cell-init beside cellard, or in ../lib/cellar; all else is part of the programs.
include(GNUInstallDirs)
set(made ${CMAKE_BINARY_DIR}/packaging) # by scripts/package, from the programs
install(TARGETS cellar cellard RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS cellar-spawn cell-init RUNTIME DESTINATION lib/cellar)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/guide ${PROJECT_SOURCE_DIR}/docs/api DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES README.md SECURITY.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES packaging/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES packaging/grafana/cellar.json DESTINATION ${CMAKE_INSTALL_DATADIR}/cellar/grafana)
install(FILES packaging/systemd/cellar.service DESTINATION lib/systemd/system)
install(FILES ${made}/cellar.1.gz ${made}/cellard.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL)
install(FILES ${made}/changelog.gz DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
install(FILES ${made}/cellar.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME cellar OPTIONAL)
install(FILES ${made}/cellar.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _cellar OPTIONAL)
install(FILES ${made}/cellar.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d OPTIONAL)
install(FILES packaging/debian/cellar.default DESTINATION /etc/default RENAME cellar)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME cellar)
set(CPACK_PACKAGE_VENDOR Cellar)
set(CPACK_PACKAGE_CONTACT "The authors of Cellar <cellar@example.com>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/package)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "ca-certificates")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "mmdebstrap, erofs-utils")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "nodejs, runsc, uidmap")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "sandboxed persistent computers for users of coding agents
Gives each user of a coding agent a cell: files, a shell, code search, a
database, a durable journal and a live event stream, isolated from all
others. One daemon on one machine, with no service beside it.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/packaging/debian/postinst;${PROJECT_SOURCE_DIR}/packaging/debian/prerm
  ${PROJECT_SOURCE_DIR}/packaging/debian/postrm;${PROJECT_SOURCE_DIR}/packaging/debian/conffiles)
include(CPack)
