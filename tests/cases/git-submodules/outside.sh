# A library inside an application.
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z" GIT_CONFIG_GLOBAL=/dev/null
git init -q -b main part
echo part > part/part
git -C part add .
git -C part commit -q -m part
git clone -q --bare part library.git
git init -q -b main work
cd work
git -c protocol.file.allow=always submodule --quiet add "$PWD/../library.git" inside/library
git config --file .gitmodules submodule.inside/library.url ../library.git
git add .
git commit -q -m whole
git clone -q --bare . ../repository.git
cd ..
rm -rf work part
