local a = 1
end
