-- A database for each region.
create database us_east;
create database eu_west;
create database ap_south;
