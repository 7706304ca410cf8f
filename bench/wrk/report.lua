-- Numbers the threads from 0, so that no two of them send the same.
local threads = {}

function setup(thread)
    thread:set("index", #threads)
    threads[#threads + 1] = thread
end

-- What every run prints when it is over: one line of JSON. Times are in microseconds.
function done(summary, latency, _requests)
    local errors, wrong = summary.errors, 0
    for _, thread in ipairs(threads) do
        wrong = wrong + (thread:get("wrong") or 0)
    end
    print(string.format(
        '{"requests":%d,"duration":%d,"p50":%d,"p99":%d,"broken":%d,"refused":%d,"wrong":%d}',
        summary.requests,
        summary.duration,
        latency:percentile(50),
        latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.timeout,
        errors.status,
        wrong
    ))
end
