# The same commits, to the bit, wherever this runs.
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z" GIT_CONFIG_GLOBAL=/dev/null
git init -q -b main work
cd work
echo one > file
echo '#!/bin/sh' > tool
chmod +x tool
ln -s file link
git add .
git commit -q -m one
git tag -a -m first v1
echo two > file
mkdir inside
echo new > inside/file
git add .
git commit -q -m two
git clone -q --bare . ../repository.git
cd ..
rm -rf work
