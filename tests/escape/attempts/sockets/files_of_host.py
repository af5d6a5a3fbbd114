# Sockets of services in /run.
# defence: own /run
# expect: \S+: absent

absent("/run/dbus/system_bus_socket", "/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock",
       "/run/systemd/private", "/run/systemd/journal/socket", "/run/podman/podman.sock", "/run/user", "/run/crio/crio.sock")
