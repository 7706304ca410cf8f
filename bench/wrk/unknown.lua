-- Counts the answers that are no 404: an error comes fast too.
wrong = 0

function response(status)
    if status ~= 404 then
        wrong = wrong + 1
    end
end
