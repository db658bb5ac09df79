mkdir -p runtime-1.0/bin runtime-1.0/lib site/css
printf '#!/bin/sh\necho it runs\n' > runtime-1.0/bin/tool
echo one > runtime-1.0/lib/module
ln runtime-1.0/lib/module runtime-1.0/lib/same
ln -s ../lib/module runtime-1.0/bin/module
echo '<html>' > site/index.html
echo 'body {}' > site/css/base.css
# The same bytes wherever this runs: their digest is in the record of what was unpacked.
same="--format=ustar --sort=name --owner=1234:1234 --group=1234:1234 --mtime=@1000000000"
chmod 0755 runtime-1.0 runtime-1.0/bin runtime-1.0/lib site site/css
chmod 4775 runtime-1.0/bin/tool
chmod 0644 runtime-1.0/lib/* site/*.html site/css/*
tar $same -c runtime-1.0 | gzip -n > runtime.tar.gz
tar $same -cf site.tar site
rm -r runtime-1.0 site
