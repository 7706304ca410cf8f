-- Numbers the threads from 0, so that no two of them send the same.
local threads = {}

function setup(thread)
    thread:set("index", #threads)
    threads[#threads + 1] = thread
end

-- Prints what bench reads at the end of a run: one line of JSON. wrk's times are in microseconds.
function done(summary, latency, _requests)
    -- wrk counts every status of 400 or more; a script that expects one counts the wrong ones itself.
    local failed, wrong = summary.errors, nil
    for _, thread in ipairs(threads) do
        local counted = thread:get("wrong")
        wrong = counted and (wrong or 0) + counted or wrong
    end
    print(string.format(
        '{"rate":%f,"p50_ms":%f,"p99_ms":%f,"requests":%d,"errors":%d}',
        summary.requests / math.max(summary.duration, 1) * 1e6,
        latency:percentile(50) / 1000,
        latency:percentile(99) / 1000,
        summary.requests,
        failed.connect + failed.read + failed.write + failed.timeout + (wrong or failed.status)
    ))
end
