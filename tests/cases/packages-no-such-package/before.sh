# A little archive of our own: no case depends on a network.
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
mkdir -p /srv/repository && cd /srv/repository
package() {
  mkdir -p /tmp/p/DEBIAN "/tmp/p/usr/share/$1"
  echo "$1 $2" > "/tmp/p/usr/share/$1/version"
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: a <a@example.com>\nDescription: %s\n' "$1" "$2" "$1" > /tmp/p/DEBIAN/control
  dpkg-deb --build --root-owner-group /tmp/p "$3" > /dev/null
  rm -rf /tmp/p
}
package tool 1.0 tool_1.0_all.deb
package tool 1.1 tool_1.1_all.deb
package tool 2.0 tool_2.0_all.deb
package other 3.4 other_3.4_all.deb
package unwanted 1.0 /srv/unwanted.deb
package local 0.9 /srv/local.deb
for deb in *.deb; do
  dpkg-deb --field "$deb"
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
done > Packages
echo "deb [trusted=yes] file:/srv/repository ./" > /etc/apt/sources.list
dpkg --install /srv/unwanted.deb > /dev/null
