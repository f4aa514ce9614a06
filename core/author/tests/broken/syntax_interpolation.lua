local x = `{`
return x
