printf 'other.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC9Oh8cv2jlkkYQOyZUmWUyXs8dmSuvIDH7bMs4yPU4Y\n' > /etc/ssh/ssh_known_hosts
printf 'bitbucket.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC9Oh8cv2jlkkYQOyZUmWUyXs8dmSuvIDH7bMs4yPU4Y\n' >> /etc/ssh/ssh_known_hosts
