echo token-that-was-found-on-the-machine > /etc/token
