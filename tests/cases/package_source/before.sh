# A little archive of somebody else's, signed with a key that this machine does not know yet.
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
mkdir -p /srv/repository
cp /.case/InRelease /.case/Packages /srv/repository
base64 --decode /.case/tool.base64 > /srv/repository/tool_1.0_all.deb
