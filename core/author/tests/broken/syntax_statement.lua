workflow
return 1
