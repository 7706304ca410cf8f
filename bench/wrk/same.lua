-- The same request again and again. Arguments: the method, the path and, for a POST, the JSON body.
function init(args)
    wrk.method, wrk.path = args[1], args[2]
    if args[3] then
        wrk.headers["content-type"] = "application/json"
        wrk.body = args[3]
    end
end
