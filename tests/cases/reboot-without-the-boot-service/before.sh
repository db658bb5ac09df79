# As the package of a new kernel leaves it.
touch /run/reboot-required
echo linux-image > /run/reboot-required.pkgs
