mkdir -p /root/.aws /srv/app/static/css /srv/app/static/img
printf '[default]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:9000\n' > /root/.aws/config
printf '[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = example\n' > /root/.aws/credentials
echo 'body {}' > /srv/app/static/css/base.css
echo 'let a' > /srv/app/static/app.js
echo '<svg/>' > /srv/app/static/img/dot.svg
echo '{}' > /srv/app/static/app.js.map
