-- Never the same request twice. Arguments: a number for this run, the method, the path and, for a POST, the JSON body.
-- `{unique}` in the path or the body is replaced; what replaces it is as long each time, so that the request is put
-- together from two halves made once.
local head, tail, prefix, count = "", "", "", 0

function init(args)
    prefix = args[1] .. "-" .. index .. "-"
    local mark = prefix .. "00000000"
    local function marked(text)
        return text and text:gsub("{unique}", (mark:gsub("%%", "%%%%")))
    end
    local body = args[4] and marked(args[4]) or nil
    local headers = body and { ["content-type"] = "application/json" } or {}
    for name, value in pairs(wrk.headers) do
        headers[name] = value
    end
    local whole = wrk.format(args[2], (marked(args[3])), headers, body)
    local first, last = whole:find(mark, 1, true)
    head, tail = whole:sub(1, first - 1), whole:sub(last + 1)
end

function request()
    count = count + 1
    return head .. prefix .. string.format("%08d", count) .. tail
end
