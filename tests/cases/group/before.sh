groupadd old
