"""Where nginx's configuration is on a host."""

HOME = "/etc/nginx"
RELEASES = f"{HOME}/tornadoes"
LINK = f"{HOME}/nginx.conf"
NEXT = f"{HOME}/nginx.conf.next"
DRAINED = f"{HOME}/drained"  # a file for each host of an app that gets no requests for a while
LOCK = "/run/tornadoes-nginx.lock"  # of whoever puts a configuration in place
DIST = f"{HOME}/nginx.conf.dist"
EDITED = f"{HOME}/nginx.conf.edited"
STOCK_SITE = f"{HOME}/sites-enabled/default"
DROP_IN = "/etc/systemd/system/nginx.service.d/tornadoes.conf"
STARTED_BY = "/run/nginx-handover"  # handover.py notes there with which drop-in which master was started
