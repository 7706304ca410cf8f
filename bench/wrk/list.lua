-- One path after the other from a file that holds one a line, again and again. Arguments: the file, how many lines to
-- skip at first, and how many threads there are, each of which begins at a place of its own.
local requests, position = {}, 0

function init(args)
    local formatted = {}
    for path in io.lines(args[1]) do
        formatted[path] = formatted[path] or wrk.format("GET", path)
        requests[#requests + 1] = formatted[path]
    end
    position = tonumber(args[2]) + index * math.floor(#requests / tonumber(args[3]))
end

function request()
    position = position % #requests + 1
    return requests[position]
end
