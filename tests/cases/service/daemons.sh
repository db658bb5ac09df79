systemctl start other       # runs, with the old settings
