useradd --create-home leaver
echo mine > /home/leaver/file
