// One path for a link, so that CloudFront keeps one entry for it: /v1/shortlink/{code} and /{code}/ are /{code}, as in
// infra/local/nginx.conf. At the root a reserved word is no link.
var LINK = /^\/(?:v1\/shortlink\/([0-9A-Za-z_-]+)|([0-9A-Za-z_-]+)\/)$/;
var RESERVED = /^(?:v1|docs|robots|favicon|health|static|assets|admin|api|login|index)$/;

function handler(event) {
    var request = event.request;
    var link = LINK.exec(request.uri);
    var code = link && (link[1] || link[2]);
    if (code && !RESERVED.test(code)) request.uri = '/' + code;
    return request;
}
