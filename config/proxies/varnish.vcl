# The hub behind Varnish 6 or later: /etc/varnish/default.vcl. docs/proxies.md says what each part is for.
# 127.0.0.1:3000 is the hub. Nothing of it is cached: no answer says that it may be.
vcl 4.1;

backend tocsin {
    .host = "127.0.0.1";
    .port = "3000";
}

sub vcl_recv {
    if (req.url ~ "^/events(\?|$)" && req.method == "GET") {
        # Bytes as they come, both ways: so the hub learns at once that a client has gone.
        # `varnishd -p pipe_timeout=75`: longer than two of the hub's heartbeats.
        return (pipe);
    }
    return (pass);
}

sub vcl_pipe {
    # Else a second request on the connection would go to the hub unseen.
    set bereq.http.Connection = "close";
}
