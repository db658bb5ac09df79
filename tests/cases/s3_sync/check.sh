python3 - <<'END'
import json, urllib.request
told = json.load(urllib.request.urlopen("http://127.0.0.1:9000/what-happened"))
objects = told["objects"]
headers = {"Cache-Control": "public, max-age=3600"}
assert objects["static/css/base.css"] == ["body {}\n", {"Content-Type": "text/css; charset=utf-8", **headers}], objects
assert objects["static/app.js"] == ["let a\n", {"Content-Type": "text/javascript; charset=utf-8", **headers}], objects
assert sorted(key for key in objects if key.startswith("static/")) == [
    "static/app.js", "static/css/base.css", "static/img/dot.svg", "static/kept.txt",
], objects
assert "elsewhere/untouched" in objects
puts = sorted(call for call in told["calls"] if call.startswith("Put"))
assert puts == ["PutObject static/app.js", "PutObject static/css/base.css"], puts
gets = sorted(call for call in told["calls"] if call.startswith("Get"))
assert gets == ["GetObject keys/app.conf", "GetObject keys/tls/site.key"], gets
END
