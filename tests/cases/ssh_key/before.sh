rm /etc/skel/.[a-z]*
