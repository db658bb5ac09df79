useradd --create-home app
