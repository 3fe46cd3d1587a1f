std = "max"
max_line_length = 100
exclude_files = { "build/*", "target/*" }
files["spec"].std = "+busted"
files["src/lua"].read_globals = { "ngx", "vim" }
files["examples"].read_globals = { "ngx", "vim" }
files["examples/openresty"].globals = { "ngx" }
files["spec/host"].read_globals = { "ngx", "vim" }
